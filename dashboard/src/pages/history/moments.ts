import { locale } from '../../words';
import { clockTime } from '../../time';

/** Moments of the past, as people say them. */

/** `Monday, 23 November 2026 at 14:03:07`, in the reader's own time zone. */
export function inWords(at: number): string {
  return new Intl.DateTimeFormat(locale.value, {
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  }).format(at);
}

/** The day alone: `Mon, 23 Nov 2026`. */
export function dayInWords(at: number): string {
  return new Intl.DateTimeFormat(locale.value, {
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    year: 'numeric',
  }).format(at);
}

const isSameDay = (one: number, other: number): boolean =>
  new Date(one).toDateString() === new Date(other).toDateString();

/** A range, with each day once: `Mon, 23 Nov 2026 14:00:00 – 14:05:00`. */
export function rangeInWords(start: number, end: number): string {
  const last = isSameDay(start, end) ? clockTime(end) : `${dayInWords(end)} ${clockTime(end)}`;
  return `${dayInWords(start)} ${clockTime(start)} – ${last}`;
}

/** A mark below the strip: as short as its distance to the next one allows. */
export function markInWords(at: number, stepMs: number): string {
  if (stepMs >= 86_400_000) {
    return new Intl.DateTimeFormat(locale.value, { day: 'numeric', month: 'short' }).format(at);
  }
  return stepMs % 60_000 === 0 ? clockTime(at).slice(0, 5) : clockTime(at);
}

/** The name of the reader's time zone. */
export const timeZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;
