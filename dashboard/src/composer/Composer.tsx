import { useSignal } from '@preact/signals';
import { AnitaError } from '@anita/client';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { Hub } from '../hub';
import { Icon } from '../icons';
import { explained } from '../log/text';
import { CopyButton } from '../shell/CopyButton';
import { Sentence } from '../shell/Sentence';
import type { View } from '../view';
import { Completing } from './Completing';
import { checkPayload, checkType, template, TEMPLATES } from './compose';
import { loadRequests, loadSchema, shapesOf, type Request, type Schema, type Shapes } from './schema';
import { SentMessages } from './sent';
import { t } from './words';
import './composer.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
}

interface Outcome {
  readonly isGood: boolean;
  readonly text: string;
  /** What the server said, as JSON. */
  readonly answer?: { readonly type: string; readonly text: string };
}

/** What was sent stays when the composer is closed and opened again. */
const sentMessages = new SentMessages();
/** More of an answer is no help; the log has the frame. */
const ANSWER_MAX = 20_000;

/** Sends a message by hand: checked first, or, in raw mode, as it stands, to see what the server says to it. */
export function Composer({ hub, view }: Props): JSX.Element {
  const raw = useSignal(false);
  const type = useSignal('get_active_devices');
  const payload = useSignal('{}');
  const rawText = useSignal('{"type":"get_active_devices","payload":{}}');
  const outcome = useSignal<Outcome | null>(null);
  const problem = useSignal<{ field: 'type' | 'payload'; text: string } | null>(null);
  const { requests, schema } = useShapes(type.value, hub.live.value);
  /** The template that was filled in; a payload that somebody has changed is left alone. */
  const filled = useRef('{}');
  const area = useRef<HTMLTextAreaElement>(null);

  const choose = (next: string): void => {
    type.value = next;
    problem.value = null;
    if (next in TEMPLATES && payload.value === filled.current) example();
  };
  const example = (): void => {
    payload.value = filled.current = template(type.value.trim(), view.selected.value);
    problem.value = null;
  };
  const recall = (way: 'older' | 'newer'): boolean => {
    const present = { type: type.value, payload: payload.value };
    const found = way === 'older' ? sentMessages.older(present) : sentMessages.newer();
    if (found === undefined) return false;
    type.value = found.type;
    payload.value = found.payload;
    problem.value = null;
    return true;
  };

  const sendRaw = (): void => {
    const sent = hub.sendText(rawText.value);
    outcome.value = { isGood: sent, text: sent ? t('compose.sent') : t('compose.notSent') };
  };

  const sendChecked = async (): Promise<void> => {
    const name = type.value.trim();
    const text = payload.value;
    const { requests, schema } = await shapesOf(name);
    const badType = checkType(
      name,
      requests.map((one) => one.type),
    );
    if (badType !== undefined) {
      problem.value = { field: 'type', text: badType };
      return;
    }
    const checked = checkPayload(text, schema);
    if ('problem' in checked) {
      problem.value = { field: 'payload', text: checked.problem };
      area.current?.focus();
      if (checked.at !== undefined) area.current?.setSelectionRange(...checked.at);
      return;
    }
    sentMessages.add({ type: name, payload: text });
    outcome.value = { isGood: true, text: t('compose.waiting') };
    const begin = performance.now();
    try {
      const answer = await hub.ask(name, checked.payload);
      const answerType = requests.find((one) => one.type === name)?.answer ?? t('compose.answer');
      outcome.value = {
        isGood: true,
        text: t('compose.answered', { ms: since(begin) }),
        answer: { type: answerType, text: JSON.stringify(answer, null, 2) },
      };
    } catch (error) {
      outcome.value = refusal(error, begin);
    }
  };

  const submit = (): void => {
    problem.value = null;
    outcome.value = null;
    if (raw.value) sendRaw();
    else void sendChecked();
  };

  const wrong = problem.value;
  const answer = outcome.value?.answer;
  return (
    <div class="composer" data-answered={answer !== undefined}>
      <form
        aria-label={t('compose.title')}
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
          <h3>{t('compose.title')}</h3>
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
            {t('compose.raw')}
          </label>
        </div>
        {raw.value ? (
          <textarea
            class="code"
            aria-label={t('compose.rawLabel')}
            spellcheck={false}
            value={rawText}
            onInput={(event) => {
              rawText.value = event.currentTarget.value;
            }}
          />
        ) : (
          <>
            <div class="composer-type">
              <input
                id="compose-type"
                class="code"
                list="request-types"
                aria-label={t('compose.type')}
                autocomplete="off"
                spellcheck={false}
                aria-invalid={wrong?.field === 'type'}
                value={type}
                onInput={(event) => {
                  choose(event.currentTarget.value);
                }}
              />
              <datalist id="request-types">
                {typeNames(requests).map((name) => (
                  <option key={name} value={name} />
                ))}
              </datalist>
              <button type="button" class="small" title={t('compose.exampleTitle')} onClick={example}>
                {t('compose.example')}
              </button>
            </div>
            <Completing
              area={area}
              value={payload.value}
              schema={schema}
              isWrong={wrong?.field === 'payload'}
              describedBy="compose-note"
              onChange={(text) => {
                payload.value = text;
                problem.value = null;
              }}
              onRecall={recall}
            />
          </>
        )}
        {wrong !== null && (
          <p class="inline-error" role="alert">
            {wrong.text}
          </p>
        )}
        <div class="composer-foot">
          <button type="submit" class="primary" disabled={!hub.live.value} title={t('compose.sendTitle')}>
            <Icon name="send" /> {t('compose.send')}
          </button>
          {!hub.live.value && <span class="dim">{t('compose.offline')}</span>}
          {hub.live.value && outcome.value !== null && (
            <span class={outcome.value.isGood ? 'dim' : 'inline-error'} role="status">
              <Sentence text={outcome.value.text} />
            </span>
          )}
          {hub.live.value && outcome.value === null && !raw.value && (
            <span class="dim" id="compose-note">
              {t('compose.keys')}
            </span>
          )}
        </div>
      </form>
      {answer !== undefined && <Answer {...answer} />}
    </div>
  );
}

function Answer({ type, text }: { readonly type: string; readonly text: string }): JSX.Element {
  const isLong = text.length > ANSWER_MAX;
  return (
    <section class="composer-answer" aria-label={t('compose.answer')}>
      <div class="composer-head">
        <h3 class="code">{type}</h3>
        <CopyButton text={() => text} label={t('compose.copyAnswer')} />
      </div>
      <pre tabIndex={0}>
        <code>{text.slice(0, ANSWER_MAX)}</code>
      </pre>
      {isLong && <p class="dim">{t('compose.cut', { n: text.length - ANSWER_MAX })}</p>}
    </section>
  );
}

/** The requests that the server has, and the shape of the one that is written; empty where it does not say. */
function useShapes(type: string, isLive: boolean): Shapes {
  const requests = useSignal<readonly Request[]>([]);
  const shape = useSignal<{ readonly type: string; readonly schema: Schema } | null>(null);
  const name = type.trim();
  useEffect(() => {
    loadRequests().then(
      (found) => {
        requests.value = found;
      },
      // Without the list nothing is completed, and the server judges; it is asked again with the next connection.
      () => undefined,
    );
  }, [requests, isLive]);
  const isKnown = requests.value.some((one) => one.type === name);
  useEffect(() => {
    if (!isKnown) return;
    loadSchema(name).then(
      (schema) => {
        shape.value = { type: name, schema };
      },
      () => undefined,
    );
  }, [name, isKnown, isLive, shape]);
  return { requests: requests.value, schema: shape.value?.type === name ? shape.value.schema : undefined };
}

const typeNames = (requests: readonly Request[]): readonly string[] =>
  requests.length > 0 ? requests.map(({ type }) => type) : Object.keys(TEMPLATES);

const since = (begin: number): number => Math.round(performance.now() - begin);

function refusal(error: unknown, begin: number): Outcome {
  if (!(error instanceof AnitaError)) {
    return { isGood: false, text: error instanceof Error ? error.message : String(error) };
  }
  const { code, details } = error;
  const { meaning, remedy } = explained({ fault: 'server', cause: { by: 'client', error } }, code);
  const said = `${t('compose.refused', { ms: since(begin) })} ${code}: ${meaning} ${remedy}`.trim();
  if (error.kind !== 'server') return { isGood: false, text: said };
  const body = { code, message: error.message, retryable: error.retryable, ...(details == null ? {} : { details }) };
  return { isGood: false, text: said, answer: { type: 'error', text: JSON.stringify(body, null, 2) } };
}
