import { fadeOf, FRESH, LOST, type Fade } from '../../map/fading';
import { GAP_MS } from '../../map/trail';
import type { Archive, Chunk, PastFix } from './archive';

/** Where devices were at a moment, as the loaded fixes tell. Nothing here knows of clocks, pages or servers. */

/** What is known of a device at a moment. */
export interface Moment {
  /** Its newest fix. */
  readonly fix: PastFix;
  /** Where it was: on the way to the next fix when that is near, else where its newest fix was. */
  readonly x: number;
  readonly y: number;
  /** Whether it was on the way between two fixes, and nobody has to guess. */
  readonly isMoving: boolean;
  readonly fade: Fade;
}

/** A tag is shown for this long after its last fix, or for this many of its usual pauses. */
export const GONE_MS = 120_000;
const GONE_PAUSES = 20;
/** A return after a long silence says nothing about the usual pause. */
const PAUSE_MS_MAX = 30_000;

/** How long after a fix a device is shown. */
export const goneAfter = (pauseMs: number): number => Math.max(GONE_MS, GONE_PAUSES * Math.min(pauseMs, PAUSE_MS_MAX));

/** Two fixes this near to each other are neighbours: between them, a device was between them. */
export const neighbours = (everyMs: number): number => Math.max(GAP_MS, 2.5 * everyMs);

/** Where a device was; `undefined` when it was not there, or nothing is loaded for that moment. */
export function momentOf(archive: Archive, id: string, time: number, isFixed = false): Moment | undefined {
  const chunk = archive.at(time);
  return chunk === undefined ? undefined : momentIn(archive, chunk, id, time, isFixed);
}

/** The same, in the chunk that knows this moment. What is `isFixed` hangs on a wall: it neither fades nor goes. */
export function momentIn(
  archive: Archive,
  chunk: Chunk,
  id: string,
  time: number,
  isFixed: boolean,
): Moment | undefined {
  const run = chunk.runs.get(id);
  const index = run === undefined ? -1 : chunk.indexAt(run, time);
  const fix = run !== undefined && index >= run.from ? chunk.fix(run, index) : chunk.before.get(id);
  if (fix === undefined) return undefined;
  const age = time - fix.time;
  const pause = Math.min(fix.pauseMs, PAUSE_MS_MAX);
  if (!isFixed && age > goneAfter(pause)) return undefined;
  const fade = isFixed ? FRESH : fadeOf(age, pause);
  const until = fix.time + neighbours(chunk.everyMs);
  const next =
    run !== undefined && index + 1 < run.to
      ? nextIn(chunk, Math.max(index + 1, run.from))
      : firstOf(archive, chunk, id, until);
  // A lift is no way between two places of one floor.
  if (next === undefined || next.time > until || !isSame(next.floor, fix.floor)) {
    return { fix, x: fix.x, y: fix.y, isMoving: false, fade };
  }
  const share = (time - fix.time) / (next.time - fix.time);
  return {
    fix,
    x: fix.x + (next.x - fix.x) * share,
    y: fix.y + (next.y - fix.y) * share,
    isMoving: true,
    fade,
  };
}

type Next = Pick<PastFix, 'time' | 'x' | 'y' | 'floor'>;

function nextIn(chunk: Chunk, index: number): Next {
  return {
    time: chunk.times[index] ?? NaN,
    x: chunk.xs[index] ?? NaN,
    y: chunk.ys[index] ?? NaN,
    floor: chunk.floors[index] ?? NaN,
  };
}

/** The first fix up to `until` in the chunks that go on where this one ends. */
function firstOf(archive: Archive, chunk: Chunk, id: string, until: number): Next | undefined {
  for (let after = archive.at(chunk.end); after !== undefined && after.start <= until; after = archive.at(after.end)) {
    const run = after.runs.get(id);
    if (run !== undefined) return nextIn(after, run.from);
  }
  return undefined;
}

const isSame = (one: number, other: number): boolean => one === other || (Number.isNaN(one) && Number.isNaN(other));

/** Every fix of a device within `(from, to]` that is loaded, oldest first. */
export function eachFix(
  archive: Archive,
  id: string,
  from: number,
  to: number,
  visit: (time: number, x: number, y: number) => void,
): void {
  for (const chunk of archive.chunks) {
    if (chunk.end <= from) continue;
    if (chunk.start > to) return;
    const run = chunk.runs.get(id);
    if (run === undefined) continue;
    for (let index = Math.max(run.from, chunk.indexAt(run, from) + 1); index < run.to; index += 1) {
      const time = chunk.times[index] ?? Infinity;
      if (time > to) return;
      visit(time, chunk.xs[index] ?? NaN, chunk.ys[index] ?? NaN);
    }
  }
}

/** Where a step from fix to fix leads: there, on to what is not loaded yet, or nowhere. */
export type Step = { readonly to: number } | { readonly unknown: number } | undefined;

/**
 * The next fix after a moment, or with `-1` the one before it, of these devices or of all, within a range. Who knows
 * that there is none for a while looks from farther away.
 */
export function stepFrom(
  archive: Archive,
  time: number,
  direction: 1 | -1,
  range: Range,
  ids?: readonly string[],
  lookFrom = time,
): Step {
  let from = lookFrom;
  for (;;) {
    // Just before the beginning of a chunk ends another one.
    const chunk = direction === 1 ? archive.at(from) : (archive.at(from - TICK) ?? archive.at(from));
    if (chunk === undefined || (direction === -1 && chunk.start >= from)) {
      if (direction === 1 ? from > range.end : from <= range.start) return undefined;
      return { unknown: direction === 1 ? from : from - TICK };
    }
    const found = direction === 1 ? firstAfter(chunk, time, ids) : lastBefore(chunk, time, ids);
    if (found !== undefined) return found < range.start || found > range.end ? undefined : { to: found };
    from = direction === 1 ? chunk.end : chunk.start;
  }
}

/** Times are told in microseconds. */
export const TICK = 0.001;

function firstAfter(chunk: Chunk, time: number, ids: readonly string[] | undefined): number | undefined {
  let first = Infinity;
  for (const id of ids ?? chunk.ids) {
    const run = chunk.runs.get(id);
    if (run === undefined) continue;
    const index = Math.max(run.from, chunk.indexAt(run, time) + 1);
    if (index < run.to) first = Math.min(first, chunk.times[index] ?? Infinity);
  }
  return first === Infinity ? undefined : first;
}

function lastBefore(chunk: Chunk, time: number, ids: readonly string[] | undefined): number | undefined {
  let last = -Infinity;
  for (const id of ids ?? chunk.ids) {
    const run = chunk.runs.get(id);
    if (run === undefined) continue;
    let index = chunk.indexAt(run, time);
    if (index >= run.from && chunk.times[index] === time) index -= 1;
    while (index >= run.from && (chunk.times[index] ?? -Infinity) >= time) index -= 1;
    if (index >= run.from) last = Math.max(last, chunk.times[index] ?? -Infinity);
  }
  return last === -Infinity ? undefined : last;
}

/** A stretch of time in milliseconds, its ends included. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 15, 30, 60] as const;
export type Speed = (typeof SPEEDS)[number];

/** Where the hand of the replay stands after a while. */
export interface Advance {
  readonly instant: number;
  /** Waits for what is not loaded yet. */
  readonly waits: boolean;
  /** Came to the end, and stays there. */
  readonly isOver: boolean;
  /** Came to the end, and began again. */
  readonly looped: boolean;
}

/**
 * Plays on for `elapsedMs` of the reader's time. It never runs ahead of `knownUntil`, never leaves the range, and at
 * its end begins again or stays.
 */
export function advance(
  instant: number,
  elapsedMs: number,
  { speed, range, isLooping, knownUntil }: { speed: number; range: Range; isLooping: boolean; knownUntil: number },
): Advance {
  const wanted = instant + elapsedMs * speed;
  if (knownUntil <= range.end && wanted >= knownUntil) {
    // The last known moment is just before the end of what is known.
    return { instant: Math.max(instant, knownUntil - TICK), waits: true, isOver: false, looped: false };
  }
  if (wanted < range.end) return { instant: wanted, waits: false, isOver: false, looped: false };
  if (isLooping && range.end > range.start) {
    return { instant: range.start, waits: false, isOver: false, looped: true };
  }
  return { instant: range.end, waits: false, isOver: true, looped: false };
}

export const clampTo = (time: number, { start, end }: Range): number => Math.min(end, Math.max(start, time));

/** The shape of a device of that age, as the server would have told it. */
export function statusOf(fade: Fade): 'connected' | 'stale' {
  return fade === LOST ? 'stale' : 'connected';
}
