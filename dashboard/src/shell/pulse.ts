import { signal } from '@preact/signals';

import type { Hub } from '../hub';
import { Ring } from '../ring';

/** How the link was over the last two minutes, second by second. */

export const PULSE_SECONDS = 120;

export interface Beat {
  /** Messages that came in this second, those that newer ones replaced on their way here as well. */
  readonly rate: number;
  /** Half of the positions were younger, milliseconds; `null` while it is not known. */
  readonly ageMs: number | null;
  /** Positions that the server left out for this page in this second. */
  readonly dropped: number;
}

interface Counters {
  readonly received: number;
  readonly ageMs: number | null;
  readonly dropped: number | null;
}

export class Pulse {
  readonly beats = new Ring<Beat>(PULSE_SECONDS);
  readonly version = signal(0);
  #before: Counters | undefined;

  /** Counters may begin anew: with another connection, or another session. Then what they count is all new. */
  sample(now: Counters): void {
    const before = this.#before;
    this.#before = { ...now, dropped: now.dropped ?? before?.dropped ?? null };
    if (before === undefined) return;
    const more = (is: number, was: number): number => (is < was ? is : is - was);
    this.beats.push({
      rate: more(now.received, before.received),
      ageMs: now.ageMs,
      // What was left out before the page looked for the first time is not of this second.
      dropped: now.dropped === null || before.dropped === null ? 0 : more(now.dropped, before.dropped),
    });
    this.version.value += 1;
  }
}

export const pulse = new Pulse();
const SAMPLE_MS = 1_000;
let timer: ReturnType<typeof setInterval> | undefined;

/** Looks at the link once a second from now on; it is the page's only one. */
export function startPulse(hub: Hub): void {
  timer ??= setInterval(() => {
    const freshness = hub.freshness.peek();
    pulse.sample({
      received: hub.traffic().received,
      ageMs: freshness?.age?.p50 ?? null,
      dropped: freshness?.dropped ?? null,
    });
  }, SAMPLE_MS);
}
