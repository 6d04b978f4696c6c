/** How long to wait before the next attempt. */
export interface Backoff {
  /** The most that the first attempt waits. @default 500 */
  baseMs: number;
  /** The most that any attempt waits. @default 20_000 */
  capMs: number;
  /** How long a connection has to be online before the attempts count from zero again. @default 5_000 */
  stableMs: number;
}

/**
 * Full jitter: anything between nothing and `base · 2ⁿ`, from the first attempt on, so that a thousand clients that lost
 * one server don't come back at the same moment. A time that the server named wins, spread by up to 30 %.
 */
export function delayMs(
  attempt: number,
  { baseMs, capMs }: Backoff,
  random: () => number,
  retryAfterMs?: number,
): number {
  return Math.round(
    retryAfterMs === undefined
      ? random() * Math.min(capMs, baseMs * 2 ** attempt)
      : retryAfterMs * (1 + 0.3 * random()),
  );
}
