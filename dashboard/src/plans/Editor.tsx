import { computed, useSignal, type Signal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { Hub } from '../hub';
import { Icon } from '../icons';
import { boundsOf, type Bounds } from '../map/camera';
import type { MapController } from '../map/controller';
import { Problem } from '../session';
import type { View } from '../view';
import { decimals } from '../words';
import { draft, limits, plans, remove, save, type Draft } from './book';
import { loadImage } from './picture';
import {
  carried,
  guess,
  judge,
  metresPerPixel,
  rotationDegrees,
  similarity,
  svgSize,
  type Calibration,
  type Picture,
  type Plan,
} from './plan';
import { Pointing } from './Pointing';
import { many, t } from './words';
import './plans.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
  readonly map: MapController;
}

const MEGABYTE = 1_000_000;
const size = (bytes: number): string => t('megabytes', { n: decimals(bytes / MEGABYTE, 1) });

/** Makes, places and removes floor plans, beside the live map that shows what becomes of it. */
export function Editor({ hub, view, map }: Props): JSX.Element {
  const busy = useSignal(false);
  const said = useSignal('');
  const problem = useSignal('');
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    panel.current?.querySelector<HTMLElement>('h2')?.focus();
    return () => {
      letGo();
    };
  }, []);

  /** One thing at a time; its refusal is shown with its remedy. */
  const attempt = async (work: () => Promise<string>): Promise<void> => {
    if (busy.peek()) return;
    busy.value = true;
    problem.value = said.value = '';
    try {
      said.value = await work();
    } catch (error) {
      problem.value = error instanceof Problem ? `${error.message} ${error.remedy}` : String(error);
    } finally {
      busy.value = false;
    }
  };
  const take = (file: File | undefined): Promise<void> =>
    attempt(async () => {
      if (file !== undefined) await chosen(file, view.floor.peek(), placeOf(hub));
      return '';
    });
  const edited = draft.value;
  return (
    <section
      ref={panel}
      class="card plans"
      aria-label={t('title')}
      onDragOver={(event) => {
        event.preventDefault();
      }}
      onDrop={(event) => {
        event.preventDefault();
        void take(event.dataTransfer?.files[0]);
      }}
    >
      <header class="plans-head">
        <h2 tabIndex={-1}>{edited === null || edited.name === '' ? t('title') : edited.name}</h2>
        <button
          type="button"
          class="quiet square"
          aria-label={t('close')}
          title={t('close')}
          onClick={() => {
            view.editingPlans.value = false;
          }}
        >
          <Icon name="close" />
        </button>
      </header>
      {edited === null ? (
        <List busy={busy} take={take} />
      ) : (
        <Form hub={hub} view={view} map={map} edited={edited} busy={busy} attempt={attempt} take={take} />
      )}
      {problem.value !== '' && (
        <p class="inline-error" role="alert">
          {problem}
        </p>
      )}
      <p class="panel-note" role="status">
        {said}
      </p>
    </section>
  );
}

/** Lets the draft go, and the file that it held. */
function letGo(): void {
  const old = draft.peek();
  draft.value = null;
  if (old?.picture.url.startsWith('blob:') === true) URL.revokeObjectURL(old.picture.url);
}

/** Where the site is, as far as anybody knows. */
function placeOf(hub: Hub): Bounds | undefined {
  const placed = [...hub.world.tracks.values()].filter((track) => track.placed);
  return hub.site.peek().bounds ?? boundsOf(placed);
}

/** A file becomes the picture of the draft, or of a new one. */
async function chosen(file: File, floor: number | null, place: Bounds | undefined): Promise<void> {
  const most = limits.peek().pictureBytes;
  if (file.size > most) throw new Error(t('wrong.size', { size: size(file.size), most: size(most) }));
  // What the system calls it; the server looks at the content.
  if (!limits.peek().mediaTypes.includes(file.type)) throw new Error(t('wrong.kind'));
  const url = URL.createObjectURL(file);
  const image = await loadImage(url).catch(() => undefined);
  if (image === undefined) {
    URL.revokeObjectURL(url);
    throw new Error(t('wrong.unread'));
  }
  const vector = file.type === 'image/svg+xml';
  const sides = vector ? svgSize(await file.text()) : undefined;
  const { width, height } = sides ?? { width: image.naturalWidth, height: image.naturalHeight };
  const picture: Picture = { url, width, height, vector };
  const before = draft.peek();
  if (before === null) {
    const name = file.name.replace(/\.[^.]*$/, '').slice(0, 100);
    const calibration = guess(picture, place);
    draft.value = { id: undefined, name, site: undefined, floor, opacity: 1, calibration, picture, file };
    return;
  }
  const calibration = carried(before.calibration, before.picture, picture) ?? guess(picture, place);
  draft.value = { ...before, picture, file, calibration };
  if (before.picture.url.startsWith('blob:')) URL.revokeObjectURL(before.picture.url);
}

interface ListProps {
  readonly busy: Signal<boolean>;
  readonly take: (file: File | undefined) => Promise<void>;
}

function List({ busy, take }: ListProps): JSX.Element {
  const all = plans.value;
  const most = limits.value;
  return (
    <>
      {all.length === 0 ? (
        <p class="panel-note">{t('none')}</p>
      ) : (
        <ul class="plans-list" aria-label={t('list')}>
          {all.map((plan) => (
            <li key={plan.id}>
              <button
                type="button"
                onClick={() => {
                  begin(plan);
                }}
              >
                <b>{plan.name}</b> <span class="dim">{stateOf(plan)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {all.length < most.plans && (
        <div class="plans-drop">
          <FilePicker busy={busy} take={take} word={t('add')} primary />
          <p class="panel-note">{t('drop', { size: size(most.pictureBytes) })}</p>
        </div>
      )}
      {all.length > 0 && <p class="panel-note">{many('count', all.length, { most: most.plans })}</p>}
    </>
  );
}

function stateOf({ floor, picture, calibration }: Plan): string {
  const words = [floor === null ? t('plan.noFloor') : t('plan.floor', { floor: String(floor) })];
  if (picture === undefined) words.push(t('plan.noPicture'));
  else if (calibration === undefined) words.push(t('plan.unplaced'));
  return words.join(' · ');
}

const NO_PICTURE: Picture = { url: '', width: 100, height: 100, vector: false };

function begin({ id, name, site, floor, opacity, calibration, picture = NO_PICTURE }: Plan): void {
  const placed = calibration ?? guess(picture, undefined);
  draft.value = { id, name, site, floor, opacity, calibration: placed, picture, file: undefined };
}

interface PickerProps extends ListProps {
  readonly word: string;
  readonly primary?: boolean;
}

/** A button that opens the system's file dialog: a plain file field can't say what it wants. */
function FilePicker({ busy, take, word, primary }: PickerProps): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  return (
    <>
      <button
        type="button"
        class={primary === true ? 'primary' : undefined}
        disabled={busy.value}
        onClick={() => field.current?.click()}
      >
        <Icon name="plan" /> {word}
      </button>
      <input
        ref={field}
        type="file"
        hidden
        aria-label={word}
        accept={limits.value.mediaTypes.join()}
        onChange={(event) => {
          const input = event.currentTarget;
          void take(input.files?.[0]);
          // The same file again is a choice, too.
          input.value = '';
        }}
      />
    </>
  );
}

interface FormProps extends Props, ListProps {
  readonly edited: Draft;
  readonly attempt: (work: () => Promise<string>) => Promise<void>;
}

const change = (part: Partial<Draft>): void => {
  const now = draft.peek();
  if (now !== null) draft.value = { ...now, ...part };
};

function Form({ hub, view, map, edited, busy, attempt, take }: FormProps): JSX.Element {
  const floor = useSignal(edited.floor === null ? '' : String(edited.floor));
  const removing = useSignal(false);
  const hasPicture = edited.picture.url !== '';
  const wrong = edited.name.trim() === '' ? 'name' : judge(edited.calibration);
  const work = computed(() => busy.value);
  return (
    <form
      class="plans-form"
      onSubmit={(event) => {
        event.preventDefault();
        void attempt(async () => {
          await save(edited);
          letGo();
          return t('saved');
        });
      }}
    >
      <div class="plans-row">
        <Field label={t('name')}>
          <input
            required
            maxLength={100}
            autocomplete="off"
            value={edited.name}
            onInput={(event) => {
              change({ name: event.currentTarget.value });
            }}
          />
        </Field>
        <Field label={t('floor')}>
          <input
            type="number"
            step="any"
            min={-1000}
            max={1000}
            placeholder="–"
            title={t('floor.hint')}
            value={floor}
            onInput={(event) => {
              floor.value = event.currentTarget.value;
              const number = event.currentTarget.valueAsNumber;
              change({ floor: Number.isFinite(number) ? number : null });
            }}
          />
        </Field>
      </div>
      {hasPicture && <Pointing edited={edited} hub={hub} view={view} map={map} />}
      {hasPicture && (
        <p class="plans-result" role="status" data-wrong={wrong !== undefined}>
          {wrong === undefined ? result(edited) : t(`wrong.${wrong}`)}
        </p>
      )}
      <div class="plans-row is-low">
        <Field label={t('opacity')}>
          <input
            type="range"
            min={5}
            max={100}
            step={5}
            value={Math.round(edited.opacity * 100)}
            onInput={(event) => {
              change({ opacity: event.currentTarget.valueAsNumber / 100 });
            }}
          />
        </Field>
        <FilePicker busy={busy} take={take} word={t('replace')} />
      </div>
      <div class="plans-actions">
        <button type="submit" class="primary" disabled={work.value || wrong !== undefined || !hasPicture}>
          {busy.value ? t('saving') : t('save')}
        </button>
        <button type="button" onClick={letGo}>
          {t('cancel')}
        </button>
        {edited.id !== undefined && !removing.value && (
          <button
            type="button"
            class="plans-remove"
            onClick={() => {
              removing.value = true;
            }}
          >
            <Icon name="trash" /> {t('remove')}
          </button>
        )}
      </div>
      {removing.value && (
        <div class="plans-actions" role="group" aria-label={t('remove')}>
          <p>{t('remove.sure')}</p>
          <button
            type="button"
            class="danger"
            disabled={busy.value}
            onClick={() =>
              void attempt(async () => {
                await remove(edited.id ?? '');
                letGo();
                return t('removed');
              })
            }
          >
            {t('remove.yes')}
          </button>
          <button
            type="button"
            onClick={() => {
              removing.value = false;
            }}
          >
            {t('cancel')}
          </button>
        </div>
      )}
    </form>
  );
}

/** What the two points come to, so that a wrong digit is seen. */
function result({ calibration, picture }: { calibration: Calibration; picture: Picture }): string {
  const lies = similarity(calibration);
  const scale = metresPerPixel(lies);
  return t('result', {
    scale: decimals(scale * 100, 2),
    width: decimals(picture.width * scale, 1),
    height: decimals(picture.height * scale, 1),
    degrees: decimals(rotationDegrees(lies), 1),
  });
}

export function Field({ label, children }: { label: string; children: ComponentChildren }): JSX.Element {
  return (
    <label class="plans-field">
      <span>{label}</span>
      {children}
    </label>
  );
}
