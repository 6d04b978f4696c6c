import type { Archive } from './archive';
import type { Range } from './replay';

/** What to load next, and how much of it: pure decisions. */

/** How many fixes there are in each part of a range, as the server tells. */
export interface Density extends Range {
  readonly counts: readonly number[];
  readonly isEstimate: boolean;
  /** How many devices it is about. */
  readonly devices: number;
}

/** One request brings about so many fixes: a second or two of waiting, and a step of the progress. */
export const CHUNK_FIXES = 60_000;
/** So many fixes come for a second of the reader's time; more would need thinning. */
export const FIXES_A_SECOND = 15_000;
/** How far apart, in seconds, the fixes of a device may be asked for. */
const SPACINGS = [0, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300] as const;
/** So many seconds of the reader's time are loaded ahead of the hand. */
const AHEAD_SECONDS = 12;
/** A chunk is at least this long, in milliseconds: each costs the server a question a device. */
const CHUNK_MS_MIN = 1_000;
/** What is before the hand, for trails and a step back. */
export const BEHIND_MS = 20_000;

export const total = (density: Density): number => density.counts.reduce((sum, count) => sum + count, 0);

/** The fixes a second in the busiest parts: the mean of the fullest twentieth, so that one odd part does not decide. */
export function busiest(density: Density): number {
  const seconds = (density.end - density.start) / 1_000 / Math.max(1, density.counts.length);
  const fullest = [...density.counts]
    .sort((a, b) => b - a)
    .slice(0, Math.max(1, Math.ceil(density.counts.length / 20)));
  return seconds <= 0 ? 0 : fullest.reduce((sum, count) => sum + count, 0) / fullest.length / seconds;
}

/** How far apart fixes are to be, in milliseconds, so that playing at this speed does not ask for too many; 0 for all. */
export function spacingFor(density: Density, speed: number): number {
  const rate = busiest(density);
  for (const seconds of SPACINGS) {
    if (thinned(rate, density.devices, seconds) * speed <= FIXES_A_SECOND) return seconds * 1_000;
  }
  return (SPACINGS.at(-1) ?? 0) * 1_000;
}

/** No device tells more than one fix in `seconds`. */
const thinned = (rate: number, devices: number, seconds: number): number =>
  seconds === 0 ? rate : Math.min(rate, devices / seconds);

/** About how many fixes a request for this time brings. */
export function expected(density: Density, { start, end }: Range, everyMs: number): number {
  const step = (density.end - density.start) / Math.max(1, density.counts.length);
  if (step <= 0 || end <= start) return 0;
  let sum = 0;
  for (const [index, count] of density.counts.entries()) {
    const from = Math.max(start, density.start + index * step);
    const to = Math.min(end, density.start + (index + 1) * step);
    if (to > from) sum += thinned(count / step, density.devices, everyMs) * (to - from);
  }
  return Math.round(sum);
}

/** The end of a stretch from `start` that holds about `fixes`, at most at `limit`. */
export function endFor(density: Density, start: number, limit: number, fixes: number, everyMs: number): number {
  const step = (density.end - density.start) / Math.max(1, density.counts.length);
  let left = fixes;
  let time = start;
  while (time < limit && step > 0) {
    const index = Math.floor((time - density.start) / step);
    const count = density.counts[Math.max(0, Math.min(index, density.counts.length - 1))] ?? 0;
    const to = time < density.start ? density.start : density.start + (index + 1) * step;
    const rate = thinned(count / step, density.devices, everyMs);
    const room = rate > 0 ? left / rate : Infinity;
    if (time + room <= to) {
      time += room;
      break;
    }
    left -= rate * (to - time);
    // A step of nothing would never end.
    time = Math.max(to, time + 1);
  }
  return Math.min(limit, Math.max(time, start + CHUNK_MS_MIN));
}

export interface Needs {
  readonly instant: number;
  readonly range: Range;
  readonly speed: number;
  readonly isLooping: boolean;
  readonly everyMs: number;
  /** How much smaller than planned chunks have to be: 1, or less after one was too large. */
  readonly share: number;
  /** How much before the instant is wanted as well. */
  readonly behindMs: number;
}

export interface Piece extends Range {
  /** The hand stands in it: everything else waits for it. */
  readonly isUrgent: boolean;
}

/** Which stretch is to be loaded next; `undefined` when there is enough. Its end is not part of it. */
export function nextPiece(archive: Archive, density: Density, needs: Needs): Piece | undefined {
  const { instant, range, speed, isLooping } = needs;
  const known = archive.knownUntil(instant);
  const end = afterEnd(range);
  if (known < Math.min(end, instant + AHEAD_SECONDS * 1_000 * Math.max(1, speed))) {
    return pieceFrom(archive, density, needs, known);
  }
  const isNearEnd = instant + AHEAD_SECONDS * 1_000 * speed >= range.end;
  const again = archive.knownUntil(range.start);
  if (isLooping && isNearEnd && again < Math.min(end, range.start + 4_000 * speed)) {
    return { ...pieceFrom(archive, density, needs, again), isUrgent: false };
  }
  return undefined;
}

/** The end of a range is part of it; that of a piece is not. */
const afterEnd = ({ end }: Range): number => Math.floor(end) + 1;

function pieceFrom(archive: Archive, density: Density, needs: Needs, from: number): Piece {
  const { instant, range, everyMs, share, behindMs } = needs;
  const isUrgent = from === instant || archive.at(instant) === undefined;
  // What goes on where another one ends needs nothing from before it.
  const before = archive.previous(from)?.end ?? -Infinity;
  const start =
    before === from ? from : Math.max(before, Math.floor(from - behindMs * share), Math.floor(range.start - BEHIND_MS));
  const next = archive.next(from)?.start ?? Infinity;
  const limit = Math.min(next, afterEnd(range));
  const end = endFor(density, Math.max(from, start), limit, CHUNK_FIXES * share, everyMs);
  return { start, end: Math.min(limit, Math.ceil(end)), isUrgent };
}

/** Where the first fixes are. */
export function firstOf(density: Density): number | undefined {
  return skip(density, density.start, 1);
}

/** Where, from a moment on or back, there can be fixes: parts that surely have none are left out. */
export function skip(density: Density, time: number, direction: 1 | -1): number | undefined {
  const { start, end, counts } = density;
  const step = (end - start) / Math.max(1, counts.length);
  let index = Math.max(0, Math.min(counts.length - 1, Math.floor((time - start) / step)));
  for (; index >= 0 && index < counts.length; index += direction) {
    if ((counts[index] ?? 0) === 0) continue;
    return direction === 1 ? Math.max(time, start + index * step) : Math.min(time, start + (index + 1) * step);
  }
  return undefined;
}

/** Presets of the range, in milliseconds. */
export const PRESETS = { minutes: 5 * 60_000, hour: 3_600_000, day: 86_400_000 } as const;
export type Preset = keyof typeof PRESETS;

/** A range is at least this long: nobody can look closer at a strip. */
export const RANGE_MS_MIN = 1_000;
/** And at most this, a year: the server counts what is in it. */
export const RANGE_MS_MAX = 366 * 86_400_000;

/** A range that makes sense of two moments in any order. */
export function tidyRange(one: number, other: number): Range {
  const [start, end] = one <= other ? [one, other] : [other, one];
  if (end - start < RANGE_MS_MIN) {
    const middle = Math.round((start + end) / 2);
    return { start: middle - RANGE_MS_MIN / 2, end: middle + RANGE_MS_MIN / 2 };
  }
  return { start: Math.max(start, end - RANGE_MS_MAX), end };
}

/** The strip has at most so many parts. */
const PARTS_MAX = 240;

/** How many parts a strip has: of a round length, so that devices that report evenly make an even strip. */
export function partsOf({ start, end }: Range): number {
  const seconds = (end - start) / 1_000;
  const length = UNITS.find((unit) => seconds / unit <= PARTS_MAX);
  return length === undefined ? PARTS_MAX : Math.max(20, Math.round(seconds / length));
}

const two = (n: number): string => String(n).padStart(2, '0');

/** A moment as `<input type="datetime-local">` has it, in the reader's own time zone. */
export function toLocalField(time: number): string {
  const date = new Date(time);
  const day = `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** What stands in such a field; `undefined` while it is no time. */
export function fromLocalField(text: string): number | undefined {
  const time = new Date(text).getTime();
  return text === '' || Number.isNaN(time) ? undefined : time;
}

const UNITS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];

/** Moments for the marks below the strip: at most `most`, at full minutes, hours, days of the reader's time zone. */
export function marks(
  { start, end }: Range,
  most: number,
): { readonly times: readonly number[]; readonly stepMs: number } {
  const seconds = (end - start) / 1_000;
  const unit = UNITS.find((one) => seconds / one <= most);
  const stepMs = (unit ?? Math.ceil(seconds / most / 86_400) * 86_400) * 1_000;
  const offset = new Date(start).getTimezoneOffset() * 60_000;
  const times: number[] = [];
  for (let time = Math.ceil((start - offset) / stepMs) * stepMs + offset; time <= end; time += stepMs) times.push(time);
  return { times, stepMs };
}
