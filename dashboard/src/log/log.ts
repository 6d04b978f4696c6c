import { signal } from '@preact/signals';

import type { AnitaError } from '@anita/client';

import { Ring } from '../ring';
import { throttle, type Throttled } from '../throttle';
import { redact } from './redact';

/** What a line of the log is about. Notes and warnings are the page's own words: connected, signed in, slow. */
export type Level = 'error' | 'warning' | 'note' | 'received' | 'sent';

/** Where an error comes from. */
export type Fault = 'connection' | 'parsing' | 'validation' | 'authentication' | 'server' | 'timeout';

/** What the page itself says: a word and its values, so that a line changes its language with the page. */
export type Note =
  | { readonly word: 'signedIn' | 'signedInAgain' | 'signedOut' | 'connected' | 'connectedAgain' }
  | { readonly word: 'noPlan'; readonly why: string }
  | { readonly word: 'slow'; readonly positions: number; readonly ms: number }
  | { readonly word: 'missed'; readonly what: string; readonly from: number; readonly to: number }
  | { readonly word: 'narrowed'; readonly what: string }
  | { readonly word: 'leaving'; readonly seconds: number };

export interface Entry {
  readonly seq: number;
  readonly at: number;
  readonly level: Level;
  /** The message's type, or the error's code. */
  readonly type: string;
  /** The frame as it travelled, if there is one. Secrets are taken out, long ones are cut. */
  readonly text: string;
  readonly note?: Note;
  readonly error?: ErrorDetail;
}

/** What happened, as data; `text.ts` has the sentences. */
export type Cause =
  /** What the SDK found, or the server said. */
  | { readonly by: 'client'; readonly error: AnitaError }
  /** A close code. */
  | { readonly by: 'close'; readonly code: number }
  /** What the REST part of the page met. */
  | { readonly by: 'page'; readonly message: string; readonly remedy: string };

/** What happens next by itself. */
export type Next =
  | { readonly word: 'retryIn' | 'laterIn'; readonly seconds: number }
  | { readonly word: 'retry' | 'network' | 'never' | 'leftOut' | 'same' | 'later' };

export interface ErrorDetail {
  readonly fault: Fault;
  readonly cause: Cause;
  readonly next?: Next;
  readonly requestId?: string;
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

function cut(text: string): string {
  if (text.length <= TEXT_LIMIT) return text;
  return `${text.slice(0, TEXT_LIMIT)}… (${String(text.length)} characters, the rest is not kept)`;
}

export interface Counts {
  readonly sent: number;
  readonly received: number;
  readonly errors: number;
  readonly warnings: number;
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
  #counts = { sent: 0, received: 0, errors: 0, warnings: 0, hidden: 0 };

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

  note(note: Note): void {
    this.#add({ level: 'note', type: 'note', text: '', note });
  }

  warn(note: Note): void {
    this.#counts.warnings += 1;
    const safe = note.word === 'noPlan' ? { ...note, why: redact(note.why) } : note;
    this.#add({ level: 'warning', type: 'warning', text: '', note: safe });
  }

  error(code: string, detail: ErrorDetail, raw = ''): void {
    this.#counts.errors += 1;
    this.#add({ level: 'error', type: code, text: raw, error: detail });
  }

  get counts(): Counts {
    return this.#counts;
  }

  /** The newest `limit` entries that are wanted, oldest of them first. */
  newest(limit: number, wanted: (entry: Entry) => boolean): { items: Entry[]; more: boolean } {
    return (this.#frozen ?? this.#ring).newest(limit, wanted);
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
    this.#counts = { sent: 0, received: 0, errors: 0, warnings: 0, hidden: 0 };
    this.version.value += 1;
  }

  #frame(level: 'sent' | 'received', type: string, text: string): void {
    if (this.hideHighRate.value && isHighRate(type)) {
      this.#counts.hidden += 1;
      this.#redraw();
      return;
    }
    this.#add({ level, type, text });
  }

  #add(entry: Omit<Entry, 'seq' | 'at'>): void {
    this.#seq += 1;
    this.#ring.push({ ...entry, seq: this.#seq, at: Date.now(), text: redact(cut(entry.text)) });
    if (this.#frozen !== undefined) this.#sinceFrozen += 1;
    this.#redraw();
  }
}
