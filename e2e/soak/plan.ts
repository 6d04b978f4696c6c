/** How long a soak takes, and how often the server is killed in that time. */
export interface Plan {
  readonly minutes: number;
  readonly kills: number;
}

/** The test command runs half a minute; `cargo xtask nightly soak --minutes 10` says `ANITA_SOAK_MINUTES=10`. */
export function plan(minutes = Number(process.env['ANITA_SOAK_MINUTES'] ?? '0.5')): Plan {
  if (!(minutes > 0)) throw new Error('ANITA_SOAK_MINUTES is not a number of minutes');
  return { minutes, kills: Math.max(4, Math.round(5 * minutes)) };
}

/** What a figure may be at the end, seen from what it was at the beginning. */
export interface Bound {
  /** The share by which it may be higher. */
  readonly share: number;
  /** And what it may be higher on top of that, in its own unit. */
  readonly more: number;
}

/** What became of a figure: the medians of the first and of the last quarter of its samples. */
export interface Course {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  readonly most: number;
  /** The last quarter may have as much. */
  readonly allowed: number;
  readonly isFlat: boolean;
}

export function course(name: string, samples: readonly number[], { share, more }: Bound): Course {
  if (samples.length < 4) throw new Error(`${name}: ${samples.length} samples have no quarters`);
  const quarter = Math.floor(samples.length / 4);
  const first = median(samples.slice(0, quarter));
  const last = median(samples.slice(-quarter));
  const allowed = first * (1 + share) + more;
  return { name, first, last, most: Math.max(...samples), allowed, isFlat: last <= allowed };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const [low = NaN, high = NaN] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}

/** One line a figure; `xtask` shows those that begin with `soak:`. */
export function line({ name, first, last, most, allowed, isFlat }: Course): string {
  const round = (value: number): string => String(Math.round(value * 100) / 100);
  const verdict = isFlat ? '' : ': NOT FLAT';
  return `soak: ${name}: ${round(first)} at first, ${round(last)} at last (${round(allowed)} allowed), ${round(most)} at most${verdict}`;
}
