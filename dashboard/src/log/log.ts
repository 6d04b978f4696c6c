import { signal } from '@preact/signals';

import { Ring } from '../ring';
import { clockTime } from '../time';
import { throttle, type Throttled } from '../throttle';
import { redact } from './redact';

/** What a line of the log is about. A note is the page's own word: connected, signed in. */
export type Level = 'sent' | 'received' | 'error' | 'note';

/** Where an error comes from; the words are the ones shown. */
export type Fault = 'connection' | 'parsing' | 'validation' | 'authentication' | 'server' | 'timeout';

export interface Entry {
  readonly seq: number;
  readonly at: number;
  readonly level: Level;
  /** The message's type, or the error's code. */
  readonly type: string;
  /** The frame as it travelled, or a sentence. Secrets are taken out, long ones are cut. */
  readonly text: string;
  readonly error?: ErrorDetail;
}

export interface ErrorDetail {
  readonly fault: Fault;
  readonly message: string;
  readonly remedy: string;
  /** What happens next by itself: `Retries in 4 s`, `Does not retry`. */
  readonly next?: string;
  readonly requestId?: string;
}

export interface Filter {
  readonly level: 'all' | Level;
  readonly text: string;
}

export const CAPACITY = 2_000;
const TEXT_LIMIT = 16_384;
/** The log is drawn at most this often, however many messages arrive. */
const REDRAW_MS = 250;

/** Types that come many times a second, or only say that the line is alive. */
const HIGH_RATE = new Set([
  'uwb.location',
  'uwb.position_update',
  'uwb.position_columns',
  'system.heartbeat',
  'system.pong',
  'ping',
  'system.connection_stats',
  'get_connection_stats',
]);

export function isHighRate(type: string): boolean {
  return HIGH_RATE.has(type);
}

export function matches(entry: Entry, filter: Filter): boolean {
  if (filter.level !== 'all' && entry.level !== filter.level) return false;
  const wanted = filter.text.trim().toLowerCase();
  if (wanted === '') return true;
  return (
    entry.type.toLowerCase().includes(wanted) ||
    entry.text.toLowerCase().includes(wanted) ||
    (entry.error !== undefined &&
      `${entry.error.fault} ${entry.error.message} ${entry.error.remedy}`.toLowerCase().includes(wanted))
  );
}

/** One line of text, for the clipboard. */
export function asText(entry: Entry): string {
  const head = `${clockTime(entry.at, true)} ${entry.level.padEnd(8)} ${entry.type}`;
  if (entry.error === undefined) return `${head} ${entry.text}`;
  const { fault, message, remedy, next } = entry.error;
  const parts = [`${head} (${fault}) ${message}`, `what to do: ${remedy}`];
  if (next !== undefined) parts.push(next);
  if (entry.text !== '') parts.push(entry.text);
  return parts.join(' | ');
}

function cut(text: string): string {
  if (text.length <= TEXT_LIMIT) return text;
  return `${text.slice(0, TEXT_LIMIT)}… (${String(text.length)} characters, the rest is not kept)`;
}

export interface Counts {
  readonly sent: number;
  readonly received: number;
  readonly errors: number;
  /** Received or sent, but of a high-rate type while those are hidden. */
  readonly hidden: number;
}

/** Everything sent, received and gone wrong; the newest `CAPACITY` of it. */
export class MessageLog {
  /** Goes up, at most four times a second, when there is something new to draw. */
  readonly version = signal(0);
  /** High-rate messages are counted but not kept while this is true: they would push everything else out. */
  readonly hideHighRate = signal(true);

  readonly #ring = new Ring<Entry>(CAPACITY);
  readonly #redraw: Throttled = throttle(() => {
    this.version.value += 1;
  }, REDRAW_MS);
  #frozen: Ring<Entry> | undefined;
  #sinceFrozen = 0;
  #seq = 0;
  #counts = { sent: 0, received: 0, errors: 0, hidden: 0 };

  sent(type: string, text: string): void {
    this.#counts.sent += 1;
    this.#frame('sent', type, text);
  }

  received(type: string, text: string): void {
    this.#counts.received += 1;
    this.#frame('received', type, text);
  }

  /** Positions that were replaced by newer ones on their way here. */
  replaced(count: number): void {
    this.#counts.received += count;
    this.#counts.hidden += count;
    this.#redraw();
  }

  note(text: string): void {
    this.#add('note', 'note', text);
  }

  error(code: string, detail: ErrorDetail, raw = ''): void {
    this.#counts.errors += 1;
    this.#add('error', code, raw, {
      ...detail,
      message: redact(detail.message),
      remedy: redact(detail.remedy),
    });
  }

  get counts(): Counts {
    return this.#counts;
  }

  /** The newest `limit` entries that the filter takes, oldest of them first. */
  newest(limit: number, filter: Filter): { items: Entry[]; more: boolean } {
    return (this.#frozen ?? this.#ring).newest(limit, (entry) => matches(entry, filter));
  }

  get paused(): boolean {
    return this.#frozen !== undefined;
  }

  /** How many entries came since the pause began. */
  get sincePause(): number {
    return this.#sinceFrozen;
  }

  /** The shown entries stand still; recording goes on. */
  pause(): void {
    if (this.#frozen !== undefined) return;
    const copy = new Ring<Entry>(CAPACITY);
    for (const entry of this.#ring) copy.push(entry);
    this.#frozen = copy;
    this.#sinceFrozen = 0;
    this.version.value += 1;
  }

  resume(): void {
    this.#frozen = undefined;
    this.#sinceFrozen = 0;
    this.version.value += 1;
  }

  clear(): void {
    this.#ring.clear();
    this.#frozen?.clear();
    this.#sinceFrozen = 0;
    this.#counts = { sent: 0, received: 0, errors: 0, hidden: 0 };
    this.version.value += 1;
  }

  #frame(level: 'sent' | 'received', type: string, text: string): void {
    if (this.hideHighRate.value && isHighRate(type)) {
      this.#counts.hidden += 1;
      this.#redraw();
      return;
    }
    this.#add(level, type, text);
  }

  #add(level: Level, type: string, text: string, error?: ErrorDetail): void {
    this.#seq += 1;
    const entry = { seq: this.#seq, at: Date.now(), level, type, text: redact(cut(text)) };
    this.#ring.push(error === undefined ? entry : { ...entry, error });
    if (this.#frozen !== undefined) this.#sinceFrozen += 1;
    this.#redraw();
  }
}
