import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

import { dependOn } from '../depend';
import type { Hub } from '../hub';
import { Icon, type IconName } from '../icons';
import { CopyButton } from '../shell/CopyButton';
import { Words } from '../shell/Words';
import { clockTime } from '../time';
import type { View } from '../view';
import { asText, type Entry, type Filter, type Level } from './log';
import './log.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
}

/** So many lines are in the page at once; more on request. */
const SHOWN = 200;

const LEVELS: readonly { level: Filter['level']; word: string }[] = [
  { level: 'all', word: 'All' },
  { level: 'sent', word: 'Sent' },
  { level: 'received', word: 'Received' },
  { level: 'error', word: 'Errors' },
];

const ICON: Record<Level, IconName> = { sent: 'up', received: 'down', error: 'warn', note: 'note' };
const WORD: Record<Level, string> = { sent: 'sent', received: 'received', error: 'error', note: 'note' };

/** Every message and every error, and what to do about it. */
export function LogPanel({ hub, view }: Props): JSX.Element {
  const { log } = hub;
  const level = useSignal<Filter['level']>('all');
  const text = useSignal('');
  dependOn(log.version);

  const { counts } = log;
  const filter: Filter = { level: level.value, text: text.value };
  const open = view.dock.value !== 'closed';
  const number: Record<string, number> = { sent: counts.sent, received: counts.received, error: counts.errors };

  return (
    <div class="log">
      <div class="dock-head">
        <button
          type="button"
          class="quiet dock-title"
          aria-expanded={open}
          aria-controls="log-lines"
          title="Open or close (l)"
          onClick={() => {
            view.dock.value = open ? 'closed' : 'open';
          }}
        >
          <Icon name={open ? 'short' : 'tall'} />
          <h2>Messages</h2>
        </button>
        <div class="filters" role="group" aria-label="Show">
          {LEVELS.map((choice) => (
            <button
              key={choice.level}
              type="button"
              class="chip"
              data-level={choice.level}
              aria-pressed={level.value === choice.level}
              onClick={() => {
                level.value = choice.level;
                if (!open) view.dock.value = 'open';
              }}
            >
              {choice.word}
              {choice.level !== 'all' && <b>{short(number[choice.level] ?? 0)}</b>}
            </button>
          ))}
        </div>
        {open && (
          <>
            <label class="search small">
              <Icon name="search" />
              <input
                type="search"
                placeholder="Filter"
                aria-label="Filter the messages by text"
                autocomplete="off"
                spellcheck={false}
                value={text}
                onInput={(event) => {
                  text.value = event.currentTarget.value;
                }}
              />
            </label>
            <label class="check" title="Positions, heartbeats and pings: counted, but not listed">
              <input
                type="checkbox"
                checked={log.hideHighRate}
                onChange={(event) => {
                  log.hideHighRate.value = event.currentTarget.checked;
                }}
              />
              Hide high-rate
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
                <span class="word">{log.paused ? `Resume (${short(log.sincePause)} new)` : 'Pause'}</span>
              </button>
              <button
                type="button"
                class="quiet"
                onClick={() => {
                  log.clear();
                }}
              >
                <Icon name="trash" />
                <span class="word">Clear</span>
              </button>
              <CopyButton
                text={() => log.newest(Infinity, filter).items.map(asText).join('\n')}
                label="Copy the shown messages"
                word="Copy"
              />
              {hub.gate.value === 'open' && (
                <button
                  type="button"
                  aria-pressed={view.composer.value}
                  title="Write a message by hand (m)"
                  onClick={() => {
                    view.composer.value = !view.composer.value;
                  }}
                >
                  <Icon name="send" />
                  <span class="word">Write</span>
                </button>
              )}
              <button
                type="button"
                class="quiet square wide-only"
                aria-label={view.dock.value === 'tall' ? 'Make the messages smaller' : 'Make the messages taller'}
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
  const { items, more } = log.newest(limit.value, filter);

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
      aria-label="Message log"
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
          Show older ones
        </button>
      )}
      {items.length === 0 && <p class="log-none">No message to show.</p>}
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
  const long = entry.text.length > 0 && entry.level !== 'note';
  return (
    <div class="line" data-level={entry.level}>
      <time>{clockTime(entry.at, true)}</time>
      <span class="way">
        <Icon name={ICON[entry.level]} size={13} />
        <span class="offscreen">{WORD[entry.level]}</span>
      </span>
      <span class="type">
        {entry.level !== 'note' && <span>{entry.type}</span>}
        {error !== undefined && <span class="fault">{error.fault} error</span>}
      </span>
      <div class="text">
        {error !== undefined && (
          <>
            <p class="said">
              <Words text={error.message} />
              {error.requestId !== undefined && <span class="dim"> (request {error.requestId})</span>}
            </p>
            {error.remedy !== '' && (
              <p class="remedy">
                <b>What to do:</b> <Words text={error.remedy} />
              </p>
            )}
            {error.next !== undefined && <p class="next">{error.next}</p>}
          </>
        )}
        {error === undefined && !long && <p class="said">{entry.text}</p>}
        {long && (
          // The whole line takes a click; the button is for the keyboard.
          <div class="frame" data-expanded={expanded} onClick={toggleUnlessSelecting}>
            <code>{expanded ? pretty(entry.text) : entry.text.slice(0, 400)}</code>
            <button
              type="button"
              class="quiet"
              aria-expanded={expanded}
              aria-label={expanded ? 'Show less of the message' : 'Show all of the message'}
            >
              <Icon name={expanded ? 'up' : 'down'} size={12} />
            </button>
          </div>
        )}
      </div>
    </div>
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
