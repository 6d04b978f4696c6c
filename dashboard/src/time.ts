import { day, t } from './words';

/** Times as people read them, and the server's clock as far as this page knows it. */

const two = (n: number): string => String(n).padStart(2, '0');

/** `14:03:07` in the reader's own time zone; `14:03:07.042` with `millis`. */
export function clockTime(at: number, millis = false): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '–';
  const seconds = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return millis ? `${seconds}.${String(date.getMilliseconds()).padStart(3, '0')}` : seconds;
}

/** The time alone for today, with the date before it for any other day. */
export function dayAndTime(at: number, now: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '–';
  const time = clockTime(at);
  if (date.toDateString() === new Date(now).toDateString()) return time;
  return `${day(at)} ${time}`;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A duration in one short word: `now`, `4 s`, `12 min`, `3 h`, `5 d`. Below one second, and in the future, it is `now`. */
export function ago(ms: number): string {
  if (!Number.isFinite(ms)) return '–';
  if (ms < 1_000) return t('time.now');
  if (ms < MINUTE) return t('time.seconds', { n: Math.floor(ms / 1_000) });
  if (ms < HOUR) return t('time.minutes', { n: Math.floor(ms / MINUTE) });
  if (ms < DAY) return t('time.hours', { n: Math.floor(ms / HOUR) });
  return t('time.days', { n: Math.floor(ms / DAY) });
}

/** `ago` as a phrase: `now`, `4 s ago`. */
export function agoPhrase(ms: number): string {
  const time = ago(ms);
  return ms < 1_000 || !Number.isFinite(ms) ? time : t('time.ago', { time });
}

/** Seconds left until `at`, rounded up, never negative. */
export function secondsLeft(at: number, now: number): number {
  return Math.max(0, Math.ceil((at - now) / 1_000));
}

/** Milliseconds of an RFC 3339 string (any number of fraction digits), or `undefined` for anything else. */
export function parseTime(text: unknown): number | undefined {
  if (typeof text !== 'string') return undefined;
  const ms = Date.parse(text.replace(/(\.\d{3})\d+/, '$1'));
  return Number.isNaN(ms) ? undefined : ms;
}

/**
 * The server's clock. A message that carries the server's time was written before it arrived, so every sample is a
 * little too early; the latest of the recent samples is the one that was delayed least.
 */
export class ServerClock {
  readonly #window: number;
  #samples: number[] = [];

  constructor(window = 8) {
    this.#window = window;
  }

  note(serverTime: number, localTime: number): void {
    this.#samples.push(serverTime - localTime);
    if (this.#samples.length > this.#window) this.#samples.shift();
  }

  /** Add this to the local clock. Zero until the server has told its time. */
  get offset(): number {
    return this.#samples.length === 0 ? 0 : Math.max(...this.#samples);
  }

  now(local = Date.now()): number {
    return local + this.offset;
  }

  reset(): void {
    this.#samples = [];
  }
}
