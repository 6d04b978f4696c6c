import { parseTime } from '../time';
import type { Track } from '../world';

/** How old what is shown is: drawn full, paler, faint. */
export const FRESH = 0;
export const STALE = 1;
export const LOST = 2;
export type Fade = typeof FRESH | typeof STALE | typeof LOST;

/** How strongly a device of each age is drawn. Even a lost one can be told from the ground. */
export const OPACITY: Readonly<Record<Fade, number>> = [1, 0.72, 0.46];

/** A device that reports often is fresh for at least this long: networks stutter. */
const FRESH_MS = 3_000;
/** A device is fresh for this many of its usual pauses, and lost after that many. */
const FRESH_PAUSES = 2;
const LOST_PAUSES = 10;
const LOST_MS = 30_000;
/** The weight of one more pause in what is usual. */
const LEARNING = 0.3;

/** The age's name, for a fix of `ageMs` from a device that usually reports every `pauseMs`. */
export function fadeOf(ageMs: number, pauseMs: number): Fade {
  if (ageMs <= Math.max(FRESH_MS, FRESH_PAUSES * pauseMs)) return FRESH;
  return ageMs <= Math.max(LOST_MS, LOST_PAUSES * pauseMs) ? STALE : LOST;
}

interface Known {
  text: string;
  at: number;
  /** The usual pause between two fixes, as far as it has been seen here. */
  pauseMs: number;
}

/** Judges the ages of all devices, a few times a second: reading a time for every fix would cost too much. */
export class Fading {
  readonly #known = new Map<string, Known>();

  /** Sets `fade` of each track; `true` when one of them changed. `serverNow` is the server's time, in milliseconds. */
  judge(tracks: ReadonlyMap<string, Track>, serverNow: number): boolean {
    if (this.#known.size > tracks.size) this.#forget(tracks);
    let changed = false;
    for (const track of tracks.values()) {
      const fade = this.#fade(track, serverNow);
      if (fade !== track.fade) {
        track.fade = fade;
        changed = true;
      }
    }
    return changed;
  }

  #fade(track: Track, serverNow: number): Fade {
    // What hangs on the wall reports its place once: it is as well as its status says.
    if (track.kind !== 'tag') return FRESH;
    const text = track.device.last_seen;
    if (text === null) return LOST;
    let known = this.#known.get(track.id);
    if (known?.text !== text) {
      const at = parseTime(text);
      if (at === undefined) return LOST;
      if (known === undefined) {
        known = { text, at, pauseMs: 0 };
        this.#known.set(track.id, known);
      } else {
        // A return after a long silence says nothing about the usual pause.
        const pause = Math.min(at - known.at, LOST_MS);
        if (pause > 0) known.pauseMs += (pause - known.pauseMs) * LEARNING;
        known.text = text;
        known.at = at;
      }
    }
    return fadeOf(serverNow - known.at, known.pauseMs);
  }

  #forget(tracks: ReadonlyMap<string, Track>): void {
    for (const id of this.#known.keys()) if (!tracks.has(id)) this.#known.delete(id);
  }
}
