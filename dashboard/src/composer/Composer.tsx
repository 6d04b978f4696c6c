import { useSignal } from '@preact/signals';
import { AnitaError } from '@anita/client';
import { explain } from '@anita/client/explain';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';

import type { Hub } from '../hub';
import { Icon } from '../icons';
import { Words } from '../shell/Words';
import type { View } from '../view';
import { checkPayload, checkType, template, TEMPLATES } from './compose';
import './composer.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
}

interface Outcome {
  readonly good: boolean;
  readonly text: string;
}

/** Sends a message by hand: checked first, or, in raw mode, as it stands, to see what the server says to it. */
export function Composer({ hub, view }: Props): JSX.Element {
  const raw = useSignal(false);
  const type = useSignal('get_active_devices');
  const payload = useSignal('{}');
  const rawText = useSignal('{"type":"get_active_devices","payload":{}}');
  const outcome = useSignal<Outcome | null>(null);
  const problem = useSignal<{ field: 'type' | 'payload'; text: string } | null>(null);
  /** The template that was filled in; a payload that somebody has changed is left alone. */
  const filled = useRef('{}');
  const area = useRef<HTMLTextAreaElement>(null);

  const choose = (next: string): void => {
    type.value = next;
    problem.value = null;
    if (next in TEMPLATES && payload.value === filled.current) {
      payload.value = filled.current = template(next, view.selected.value);
    }
  };

  const sendRaw = (): void => {
    const sent = hub.sendText(rawText.value);
    outcome.value = sent
      ? { good: true, text: 'Sent as it stands; what the server says is in the log.' }
      : { good: false, text: 'Not sent: there is no connection.' };
  };

  const sendChecked = async (): Promise<void> => {
    const name = type.value.trim();
    const badType = checkType(name);
    if (badType !== undefined) {
      problem.value = { field: 'type', text: badType };
      return;
    }
    const checked = checkPayload(payload.value);
    if ('problem' in checked) {
      problem.value = { field: 'payload', text: checked.problem };
      area.current?.focus();
      if (checked.at !== undefined) area.current?.setSelectionRange(checked.at, checked.at + 1);
      return;
    }
    outcome.value = { good: true, text: 'Waiting for the answer…' };
    const begin = performance.now();
    try {
      await hub.ask(name, checked.payload);
      outcome.value = { good: true, text: `Answered after ${(performance.now() - begin).toFixed(0)} ms.` };
    } catch (error) {
      outcome.value = { good: false, text: describe(error) };
    }
  };

  const submit = (): void => {
    problem.value = null;
    outcome.value = null;
    if (raw.value) sendRaw();
    else void sendChecked();
  };

  const wrong = problem.value;
  return (
    <form
      class="composer"
      aria-label="Write a message"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          submit();
        }
      }}
    >
      <div class="composer-head">
        <h3>Write a message</h3>
        <label class="check">
          <input
            type="checkbox"
            checked={raw}
            onChange={(event) => {
              raw.value = event.currentTarget.checked;
              problem.value = null;
              outcome.value = null;
            }}
          />
          Raw text
        </label>
      </div>
      {raw.value ? (
        <textarea
          class="code"
          aria-label="Text to send as it is"
          spellcheck={false}
          value={rawText}
          onInput={(event) => {
            rawText.value = event.currentTarget.value;
          }}
        />
      ) : (
        <>
          <input
            id="compose-type"
            class="code"
            list="request-types"
            aria-label="Type of the message"
            autocomplete="off"
            spellcheck={false}
            aria-invalid={wrong?.field === 'type'}
            value={type}
            onInput={(event) => {
              choose(event.currentTarget.value);
            }}
          />
          <datalist id="request-types">
            {Object.keys(TEMPLATES).map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
          <textarea
            ref={area}
            class="code"
            aria-label="Payload, a JSON object"
            spellcheck={false}
            aria-invalid={wrong?.field === 'payload'}
            value={payload}
            onInput={(event) => {
              payload.value = event.currentTarget.value;
              problem.value = null;
            }}
          />
        </>
      )}
      {wrong !== null && (
        <p class="inline-error" role="alert">
          {wrong.text}
        </p>
      )}
      <div class="composer-foot">
        <button type="submit" class="primary" disabled={!hub.live.value} title="Send (Ctrl+Enter)">
          <Icon name="send" /> Send
        </button>
        {!hub.live.value && <span class="dim">needs a connection</span>}
        {hub.live.value && outcome.value !== null && (
          <span class={outcome.value.good ? 'dim' : 'inline-error'} role="status">
            <Words text={outcome.value.text} />
          </span>
        )}
      </div>
    </form>
  );
}

function describe(error: unknown): string {
  if (error instanceof AnitaError) {
    const { meaning, remedy } = explain(error);
    return `${error.code}: ${meaning} ${remedy}`.trim();
  }
  return error instanceof Error ? error.message : String(error);
}
