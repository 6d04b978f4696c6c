import { describe, expect, test } from 'vitest';
import { delayMs } from '../src/backoff.js';
import { seeded } from './random.js';

const backoff = { baseMs: 500, capMs: 20_000, stableMs: 5_000 };
const sample = (attempt: number, retryAfterMs?: number): number[] => {
  const random = seeded(attempt + 1);
  return Array.from({ length: 10_000 }, () => delayMs(attempt, backoff, random, retryAfterMs));
};
const mean = (numbers: number[]): number => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

describe('backoff', () => {
  test.each([
    [0, 500],
    [1, 1_000],
    [2, 2_000],
    [5, 16_000],
    [6, 20_000],
    [60, 20_000],
    [5_000, 20_000],
  ])('attempt %i is spread evenly from 0 to %i ms', (attempt, most) => {
    const delays = sample(attempt);
    expect(Math.max(...delays)).toBeLessThanOrEqual(most);
    expect(Math.min(...delays)).toBeLessThan(most * 0.01);
    expect(mean(delays)).toBeCloseTo(most / 2, -Math.log10(most * 0.04));
    const tenths = new Array<number>(10).fill(0);
    for (const delay of delays) tenths[Math.min(9, Math.floor((delay / most) * 10))]! += 1;
    for (const count of tenths) expect(count).toBeGreaterThan(850);
  });

  test('a time that the server named is kept, with 0 to 30 % more', () => {
    const delays = sample(9, 1_000);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(1_000);
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_300);
    expect(mean(delays)).toBeCloseTo(1_150, -1);
  });
});
