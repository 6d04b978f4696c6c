/** Rates from counters that go up from the beginning, as the server tells them. */

export type Counters<K extends string> = Readonly<Record<K, number>>;
export type Rates<K extends string> = Readonly<Record<K, number | null>>;

interface Sample<K extends string> {
  readonly at: number;
  readonly counters: Counters<K>;
}

/**
 * Remembers the counters of many things over a time, and tells what each came to a second. What is not heard of any
 * more is forgotten with the next answer.
 */
export class RateMeter<K extends string> {
  readonly #windowMs: Readonly<Record<K, number>>;
  readonly #leastMs: Readonly<Partial<Record<K, number>>> | undefined;
  readonly #longestMs: number;
  #samples = new Map<string, readonly Sample<K>[]>();

  /** Over how long each counter is measured; those that move in steps need longer, and say nothing before `leastMs`. */
  constructor(windowMs: Readonly<Record<K, number>>, leastMs?: Readonly<Partial<Record<K, number>>>) {
    this.#windowMs = windowMs;
    this.#leastMs = leastMs;
    this.#longestMs = Math.max(...Object.values<number>(windowMs));
  }

  /** Takes an answer of the server: the counters of everything at one moment of its clock. */
  note(at: number, all: Iterable<readonly [id: string, counters: Counters<K>]>): void {
    const next = new Map<string, readonly Sample<K>[]>();
    for (const [id, counters] of all) {
      const before = (this.#samples.get(id) ?? []).filter((one) => one.at < at && !isLess(counters, one.counters));
      const from = before.findLastIndex((one) => at - one.at >= this.#longestMs);
      next.set(id, [...before.slice(Math.max(0, from)), { at, counters }]);
    }
    this.#samples = next;
  }

  /** What each counter came to a second; `null` while it is known at one moment only. */
  of(id: string): Rates<K> {
    const samples = this.#samples.get(id) ?? [];
    const last = samples.at(-1);
    const rate = (name: K): number | null => {
      if (last === undefined) return null;
      // The oldest within the window, or the newest beyond it where none is within.
      const within = samples.find((one) => one !== last && last.at - one.at <= this.#windowMs[name]);
      const first = within ?? samples.at(-2);
      if (first === undefined || last.at - first.at < (this.#leastMs?.[name] ?? 0)) return null;
      return ((last.counters[name] - first.counters[name]) * 1_000) / (last.at - first.at);
    };
    const names = Object.keys(this.#windowMs) as K[];
    return Object.fromEntries(names.map((name) => [name, rate(name)])) as Rates<K>;
  }
}

/** A counter that went down began anew. */
function isLess<K extends string>(now: Counters<K>, before: Counters<K>): boolean {
  return (Object.keys(before) as K[]).some((name) => now[name] < before[name]);
}
