import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

import { dependOn } from '../depend';
import type { Hub } from '../hub';
import { Icon, type IconName } from '../icons';
import { saveText } from '../save';
import { CopyButton } from '../shell/CopyButton';
import { Sentence } from '../shell/Sentence';
import { clockTime } from '../time';
import type { View } from '../view';
import type { Entry, ErrorDetail, Level } from './log';
import { asJson, asText, explained, fileName, sayNext, sayNote, wanted, type Filter } from './text';
import { t } from './words';
import './log.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
}

/** So many lines are in the page at once; more on request. */
const SHOWN = 200;

const CHOICES = ['all', 'error', 'warning', 'note', 'received', 'sent'] as const satisfies readonly Filter['level'][];

const ICON: Record<Level, IconName> = { sent: 'up', received: 'down', error: 'warn', warning: 'clock', note: 'note' };

/** Every message and every error, and what to do about it. */
export function LogPanel({ hub, view }: Props): JSX.Element {
  const { log } = hub;
  const level = useSignal<Filter['level']>('all');
  const text = useSignal('');
  dependOn(log.version);

  const { counts } = log;
  const filter: Filter = { level: level.value, text: text.value };
  const open = view.dock.value !== 'closed';
  const number: Partial<Record<Filter['level'], number>> = {
    error: counts.errors,
    warning: counts.warnings,
    received: counts.received,
    sent: counts.sent,
  };
  const shown = (): readonly Entry[] => log.newest(Infinity, wanted(filter)).items;

  return (
    <div class="log">
      <div class="dock-head">
        <button
          type="button"
          class="quiet dock-title"
          aria-expanded={open}
          aria-controls="log-lines"
          title={t('log.toggle')}
          onClick={() => {
            view.dock.value = open ? 'closed' : 'open';
          }}
        >
          <Icon name={open ? 'short' : 'tall'} />
          <h2>{t('log.title')}</h2>
        </button>
        <div class="filters" role="group" aria-label={t('log.show')}>
          {CHOICES.map((choice) => (
            <button
              key={choice}
              type="button"
              class="chip"
              data-level={choice}
              aria-pressed={level.value === choice}
              onClick={() => {
                level.value = choice;
                if (!open) view.dock.value = 'open';
              }}
            >
              {t(`choice.${choice}`)}
              {number[choice] !== undefined && <b>{short(number[choice])}</b>}
            </button>
          ))}
        </div>
        {open && (
          <>
            <label class="search small">
              <Icon name="search" />
              <input
                type="search"
                placeholder={t('log.filter')}
                aria-label={t('log.filterLabel')}
                autocomplete="off"
                spellcheck={false}
                value={text}
                onInput={(event) => {
                  text.value = event.currentTarget.value;
                }}
              />
            </label>
            <label class="check" title={t('log.hideTitle')}>
              <input
                type="checkbox"
                checked={log.hideHighRate}
                onChange={(event) => {
                  log.hideHighRate.value = event.currentTarget.checked;
                }}
              />
              {t('log.hide')}
              {counts.hidden > 0 && <span class="dim"> {short(counts.hidden)}</span>}
            </label>
            <div class="dock-actions">
              <button
                type="button"
                class="quiet"
                aria-pressed={log.paused}
                onClick={() => {
                  if (log.paused) log.resume();
                  else log.pause();
                }}
              >
                <Icon name={log.paused ? 'play' : 'pause'} />
                <span class="word">{log.paused ? t('log.resume', { n: short(log.sincePause) }) : t('log.pause')}</span>
              </button>
              <button
                type="button"
                class="quiet"
                onClick={() => {
                  log.clear();
                }}
              >
                <Icon name="trash" />
                <span class="word">{t('log.clear')}</span>
              </button>
              <CopyButton text={() => shown().map(asText).join('\n')} label={t('log.copy')} word={t('log.copyWord')} />
              <button
                type="button"
                class="quiet"
                title={t('log.export')}
                aria-label={t('log.export')}
                onClick={() => {
                  saveText(shown().map(asJson).join('\n') + '\n', fileName(Date.now()), 'application/x-ndjson');
                }}
              >
                <Icon name="save" />
                <span class="word">{t('log.exportWord')}</span>
              </button>
              {hub.gate.value === 'open' && (
                <button
                  type="button"
                  aria-pressed={view.composer.value}
                  title={t('log.writeTitle')}
                  onClick={() => {
                    view.composer.value = !view.composer.value;
                  }}
                >
                  <Icon name="send" />
                  <span class="word">{t('log.write')}</span>
                </button>
              )}
              <button
                type="button"
                class="quiet square wide-only"
                aria-label={view.dock.value === 'tall' ? t('log.smaller') : t('log.taller')}
                onClick={() => {
                  view.dock.value = view.dock.value === 'tall' ? 'open' : 'tall';
                }}
              >
                <Icon name={view.dock.value === 'tall' ? 'down' : 'up'} />
              </button>
            </div>
          </>
        )}
      </div>
      {open && <Lines hub={hub} filter={filter} />}
    </div>
  );
}

function Lines({ hub, filter }: { readonly hub: Hub; readonly filter: Filter }): JSX.Element {
  const { log } = hub;
  const limit = useSignal(SHOWN);
  const expanded = useSignal<ReadonlySet<number>>(new Set());
  const scroller = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const { items, more } = log.newest(limit.value, wanted(filter));

  // New lines push the old ones up, unless somebody is reading further above.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element !== null && atEnd.current) element.scrollTop = element.scrollHeight;
  });

  return (
    <div
      ref={scroller}
      id="log-lines"
      class="log-lines"
      role="log"
      aria-label={t('log.lines')}
      aria-live={log.hideHighRate.value ? 'polite' : 'off'}
      aria-relevant="additions"
      tabIndex={0}
      onScroll={(event) => {
        const { scrollTop, clientHeight, scrollHeight } = event.currentTarget;
        atEnd.current = scrollTop + clientHeight >= scrollHeight - 24;
      }}
    >
      {more && (
        <button
          type="button"
          class="quiet log-more"
          onClick={() => {
            atEnd.current = false;
            limit.value += SHOWN;
          }}
        >
          {t('log.older')}
        </button>
      )}
      {items.length === 0 && <p class="log-none">{t('log.none')}</p>}
      {items.map((entry) => (
        <Line
          key={entry.seq}
          entry={entry}
          expanded={expanded.value.has(entry.seq)}
          onToggle={() => {
            const next = new Set(expanded.value);
            if (!next.delete(entry.seq)) next.add(entry.seq);
            expanded.value = next;
          }}
        />
      ))}
    </div>
  );
}

interface LineProps {
  readonly entry: Entry;
  readonly expanded: boolean;
  readonly onToggle: () => void;
}

function Line({ entry, expanded, onToggle }: LineProps): JSX.Element {
  const { error } = entry;
  const toggleUnlessSelecting = (): void => {
    if (getSelection()?.type !== 'Range') onToggle();
  };
  const long = entry.text.length > 0;
  return (
    <div class="line" data-level={entry.level}>
      <time dateTime={new Date(entry.at).toISOString()}>{clockTime(entry.at, true)}</time>
      <span class="way">
        <Icon name={ICON[entry.level]} size={13} />
        <span class="offscreen">{t(`level.${entry.level}`)}</span>
      </span>
      <span class="type">
        {entry.note === undefined && <span>{entry.type}</span>}
        {error !== undefined && <span class="fault">{t(`fault.${error.fault}`)}</span>}
      </span>
      <div class="text">
        {error !== undefined && <Told code={entry.type} error={error} />}
        {entry.note !== undefined && <p class="said">{sayNote(entry.note)}</p>}
        {long && (
          // The whole line takes a click; the button is for the keyboard.
          <div class="frame" data-expanded={expanded} onClick={toggleUnlessSelecting}>
            <code>{expanded ? pretty(entry.text) : entry.text.slice(0, 400)}</code>
            <button
              type="button"
              class="quiet"
              aria-expanded={expanded}
              aria-label={expanded ? t('log.less') : t('log.more')}
            >
              <Icon name={expanded ? 'up' : 'down'} size={12} />
            </button>
          </div>
        )}
      </div>
      <CopyButton text={() => asText(entry)} label={t('log.copyLine')} />
    </div>
  );
}

/** What an error says: what happened, what to do, what comes next. */
function Told({ code, error }: { readonly code: string; readonly error: ErrorDetail }): JSX.Element {
  const { meaning, remedy } = explained(error, code);
  return (
    <>
      <p class="said">
        <Sentence text={meaning} />
        {error.cause.by === 'close' && <span class="dim"> ({error.cause.code})</span>}
        {error.requestId !== undefined && <span class="dim"> ({t('log.request', { id: error.requestId })})</span>}
      </p>
      {remedy !== '' && (
        <p class="remedy">
          <b>{t('log.remedy')}</b> <Sentence text={remedy} />
        </p>
      )}
      {error.next !== undefined && <p class="next">{sayNext(error.next)}</p>}
    </>
  );
}

/** JSON with line breaks; anything else as it is. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function short(count: number): string {
  if (count < 10_000) return String(count);
  return count < 1_000_000 ? `${String(Math.floor(count / 1_000))}k` : `${(count / 1_000_000).toFixed(1)}M`;
}
