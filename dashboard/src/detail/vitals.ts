import { distance } from '../map/measure';
import type { Trail } from '../map/trail';
import type { Track } from '../world';

/** What the charts of the device panel show: fixes a second over the last minute, and the battery since the page knows it. */

export const RATE_SECONDS = 60;
/** When so many battery values are kept, every second one goes: the time they cover grows instead of their number. */
const BATTERY_SAMPLES = 96;
const BATTERY_EVERY_MS = 10_000;

export interface Charge {
  readonly at: number;
  readonly percent: number;
}

class Life {
  readonly rates = new Float32Array(RATE_SECONDS);
  next = 0;
  seconds = 0;
  fixes: number;
  charges: Charge[] = [];
  /** The pause between two charges that are kept; it doubles when there are too many. */
  pauseMs = BATTERY_EVERY_MS;

  constructor(fixes: number) {
    this.fixes = fixes;
  }
}

/** Samples every device once a second, so that the charts are there when somebody selects one. */
export class Vitals {
  readonly #lives = new Map<string, Life>();
  #at: number | undefined;

  sample(tracks: ReadonlyMap<string, Track>, now: number): void {
    const elapsed = this.#at === undefined ? 0 : (now - this.#at) / 1_000;
    this.#at = now;
    if (this.#lives.size > tracks.size) this.#forget(tracks);
    for (const track of tracks.values()) {
      let life = this.#lives.get(track.id);
      if (life === undefined) this.#lives.set(track.id, (life = new Life(track.fixes)));
      else if (elapsed > 0) {
        life.rates[life.next] = Math.max(0, track.fixes - life.fixes) / elapsed;
        life.next = (life.next + 1) % RATE_SECONDS;
        life.seconds = Math.min(RATE_SECONDS, life.seconds + 1);
      }
      life.fixes = track.fixes;
      const { battery } = track.device;
      if (battery !== undefined) keep(life, battery, now);
    }
  }

  /** Oldest first. */
  rates(id: string): number[] {
    const life = this.#lives.get(id);
    if (life === undefined) return [];
    return Array.from({ length: life.seconds }, (_, index) => {
      return life.rates[(life.next - life.seconds + index + RATE_SECONDS) % RATE_SECONDS] ?? 0;
    });
  }

  charges(id: string): readonly Charge[] {
    return this.#lives.get(id)?.charges ?? [];
  }

  #forget(tracks: ReadonlyMap<string, Track>): void {
    for (const id of this.#lives.keys()) if (!tracks.has(id)) this.#lives.delete(id);
  }
}

function keep(life: Life, percent: number, at: number): void {
  const last = life.charges.at(-1);
  if (last !== undefined && at - last.at < life.pauseMs) return;
  life.charges.push({ at, percent });
  if (life.charges.length < BATTERY_SAMPLES) return;
  life.charges = life.charges.filter((_, index) => index % 2 === 0);
  life.pauseMs *= 2;
}

/** Long enough to see through the noise of the fixes, short enough to be the speed of now. */
const SPEED_MS = 2_000;
/** A trail grows only while its tag moves. When it has not grown for so long, or for two of its pauses, the tag stands. */
const STANDING_MS = 2_500;
const LONGEST_PAUSE_MS = 6_000;

/** Metres a second over the last two seconds, as the crow flies: noise must not make a parked forklift fast. */
export function speedOf(trail: Trail, now: number): number | undefined {
  const end = trail.before(now);
  if (end === undefined) return undefined;
  const previous = trail.before(end.time - 1);
  const start = trail.before(end.time - SPEED_MS);
  if (previous === undefined || start === undefined) return trail.size > 1 ? undefined : 0;
  const pause = Math.min(LONGEST_PAUSE_MS, end.time - previous.time);
  if (now - end.time > Math.max(STANDING_MS, 2 * pause)) return 0;
  const elapsed = end.time - start.time;
  // It stood at the start until the two seconds began.
  return distance(start, end) / ((elapsed > LONGEST_PAUSE_MS ? SPEED_MS : elapsed) / 1_000);
}

/** The path of an SVG line through the values, in a box of this size: from the least to the most value, from the first to the last time. */
export function sparkPath(
  points: readonly (readonly [at: number, value: number])[],
  box: { readonly width: number; readonly height: number },
  [least, most]: readonly [number, number],
  [first, last] = [points[0]?.[0] ?? 0, points.at(-1)?.[0] ?? 0],
): string {
  const span = last - first || 1;
  const range = most - least || 1;
  return points
    .map(([at, value], index) => {
      const x = ((at - first) / span) * box.width;
      const y = box.height - ((value - least) / range) * box.height;
      return `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join('');
}
