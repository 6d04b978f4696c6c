import { useSignal } from '@preact/signals';
import type { Device } from '@anita/client';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { Hub } from '../hub';
import { Icon } from '../icons';
import { KINDS } from '../list/filters';
import type { View } from '../view';
import { t as common } from '../words';
import { t } from './words';

interface Props {
  readonly hub: Hub;
  readonly view: View;
  readonly device: Device;
}

/** The server allows it or not; the page only spares people buttons that would be refused. */
const WRITE = 'devices.write';

export function EditDevice({ hub, view, device }: Props): JSX.Element | null {
  const open = useSignal<'edit' | 'remove' | null>(null);
  if (hub.session.value?.permissions.includes(WRITE) !== true) return null;
  const close = (): void => {
    open.value = null;
  };
  return (
    <div class="edit">
      {open.value === null && (
        <div class="panel-actions">
          <button
            type="button"
            disabled={!hub.live.value}
            onClick={() => {
              open.value = 'edit';
            }}
          >
            <Icon name="edit" /> {t('card.edit')}
          </button>
          <button
            type="button"
            disabled={!hub.live.value}
            onClick={() => {
              open.value = 'remove';
            }}
          >
            <Icon name="trash" /> {t('card.remove')}
          </button>
        </div>
      )}
      {open.value === 'edit' && <EditForm hub={hub} device={device} close={close} />}
      {open.value === 'remove' && <Removal hub={hub} view={view} device={device} close={close} />}
    </div>
  );
}

interface FormProps extends Omit<Props, 'view'> {
  readonly close: () => void;
}

/** What is asked of the server goes on one at a time, and its refusal is shown beside the button that asked. */
function useAsking(): {
  readonly busy: boolean;
  readonly problem: string;
  readonly ask: (work: (signal: AbortSignal) => Promise<unknown>, done: () => void) => Promise<void>;
} {
  const busy = useSignal(false);
  const problem = useSignal('');
  const stop = useRef<AbortController | null>(null);
  useEffect(() => () => stop.current?.abort(), []);
  return {
    busy: busy.value,
    problem: problem.value,
    ask: async (work, done) => {
      if (busy.peek()) return;
      busy.value = true;
      problem.value = '';
      stop.current = new AbortController();
      try {
        await work(stop.current.signal);
        done();
      } catch (error) {
        problem.value = error instanceof Error ? error.message : String(error);
      } finally {
        busy.value = false;
      }
    },
  };
}

function EditForm({ hub, device, close }: FormProps): JSX.Element {
  const name = useSignal(device.name ?? '');
  const kind = useSignal(device.kind);
  const { busy, problem, ask } = useAsking();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const save = (): Promise<void> => {
    const change = {
      device_id: device.id,
      ...(name.value === (device.name ?? '') ? {} : { name: name.value.trim() }),
      ...(kind.value === device.kind ? {} : { kind: kind.value }),
    };
    if (Object.keys(change).length === 1) {
      close();
      return Promise.resolve();
    }
    return ask((signal) => hub.ask('update_device', change, signal), close);
  };
  return (
    <form
      class="edit-form"
      aria-label={t('card.editTitle')}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <label for="edit-name">{t('card.editName')}</label>
      <input
        ref={field}
        id="edit-name"
        maxLength={128}
        autocomplete="off"
        aria-describedby="edit-name-note"
        value={name}
        onInput={(event) => {
          name.value = event.currentTarget.value;
        }}
      />
      <p class="panel-note" id="edit-name-note">
        {t('card.editNameNote')}
      </p>
      <label for="edit-kind">{t('card.editKind')}</label>
      <select
        id="edit-kind"
        value={kind.value}
        onChange={(event) => {
          const wanted = event.currentTarget.value;
          kind.value = KINDS.find((one) => one === wanted) ?? kind.value;
        }}
      >
        {KINDS.map((one) => (
          <option key={one} value={one}>
            {common(`kind.${one}`)}
          </option>
        ))}
      </select>
      <Problem text={problem} />
      <div class="panel-actions">
        <button type="submit" class="primary" disabled={busy}>
          {busy ? t('card.saving') : t('card.save')}
        </button>
        <button type="button" onClick={close}>
          {t('card.cancel')}
        </button>
      </div>
    </form>
  );
}

function Removal({ hub, view, device, close }: FormProps & Pick<Props, 'view'>): JSX.Element {
  const { busy, problem, ask } = useAsking();
  const keep = useRef<HTMLButtonElement>(null);
  // The harmless answer has the focus.
  useEffect(() => keep.current?.focus(), []);
  return (
    <div class="edit-form" role="group" aria-label={t('card.remove')}>
      <p>{t('card.removeAsk', { id: device.id })}</p>
      <Problem text={problem} />
      <div class="panel-actions">
        <button
          type="button"
          class="danger"
          disabled={busy}
          onClick={() =>
            void ask(
              (signal) => hub.ask('remove_device', { device_id: device.id }, signal),
              () => {
                view.select(null);
              },
            )
          }
        >
          {busy ? t('card.removing') : t('card.removeYes')}
        </button>
        <button ref={keep} type="button" onClick={close}>
          {t('card.cancel')}
        </button>
      </div>
    </div>
  );
}

function Problem({ text }: { readonly text: string }): JSX.Element | null {
  if (text === '') return null;
  return (
    <p class="inline-error" role="alert">
      {text}
    </p>
  );
}
