import { describe, expect, it } from 'vitest';

import { RATE_SECONDS, sparkPath, speedOf, Vitals } from '../src/detail/vitals';
import { Trail } from '../src/map/trail';
import type { Track } from '../src/world';

function track(battery?: number): Track {
  const device = { id: 'a', kind: 'tag', status: 'connected', last_seen: null, location: null } as const;
  const at = { x: 0, y: 0, shownX: 0, shownY: 0, placed: true };
  return {
    id: 'a',
    kind: 'tag',
    label: 'a',
    device: battery === undefined ? device : { ...device, battery },
    ...at,
    fade: 0,
    fixes: 7,
    trail: new Trail(),
  };
}

describe('the rate', () => {
  it('is fixes a second, over a minute, oldest first', () => {
    const vitals = new Vitals();
    const one = track();
    const tracks = new Map([['a', one]]);
    expect(vitals.rates('a')).toEqual([]);
    vitals.sample(tracks, 0);
    one.fixes += 10;
    vitals.sample(tracks, 1_000);
    one.fixes += 10;
    vitals.sample(tracks, 3_000);
    expect(vitals.rates('a')).toEqual([10, 5]);
    for (let second = 4; second < 100; second += 1) {
      one.fixes += second;
      vitals.sample(tracks, second * 1_000);
    }
    const rates = vitals.rates('a');
    expect(rates).toHaveLength(RATE_SECONDS);
    expect([rates[0], rates.at(-1)]).toEqual([40, 99]);
    vitals.sample(new Map(), 200_000);
    expect(vitals.rates('a')).toEqual([]);
  });
});

describe('the battery', () => {
  it('is kept from the beginning, in bounded memory', () => {
    const vitals = new Vitals();
    for (let second = 0; second < 20_000; second += 1) {
      vitals.sample(new Map([['a', track(100 - second / 1_000)]]), second * 1_000);
    }
    const charges = vitals.charges('a');
    expect(charges.length).toBeLessThan(100);
    expect(charges.length).toBeGreaterThan(30);
    expect(charges[0]).toEqual({ at: 0, percent: 100 });
    expect(charges.at(-1)?.percent).toBeLessThan(82);
    const pauses = charges.slice(1).map(({ at }, index) => at - (charges[index]?.at ?? 0));
    expect(Math.max(...pauses)).toBeLessThanOrEqual(2 * Math.min(...pauses));
    expect(vitals.charges('b')).toEqual([]);
  });
});

describe('the speed', () => {
  const walk = (metresASecond: number, hz: number, seconds: number): Trail => {
    const trail = new Trail();
    for (let step = 0; step <= seconds * hz; step += 1)
      trail.add((step / hz) * 1_000, (step / hz) * metresASecond, 0, 0);
    return trail;
  };

  it('is that of the last two seconds', () => {
    expect(speedOf(walk(1.5, 10, 10), 10_000)).toBeCloseTo(1.5);
    expect(speedOf(walk(2, 1, 10), 10_300)).toBeCloseTo(2);
    const slower = walk(2, 10, 10);
    for (let step = 1; step <= 30; step += 1) slower.add(10_000 + step * 100, 20 + step * 0.05, 0, 0);
    expect(speedOf(slower, 13_000)).toBeCloseTo(0.5);
  });

  it('is none for who stands, and unknown for who has just come', () => {
    expect(speedOf(walk(2, 10, 10), 13_000)).toBe(0);
    expect(speedOf(new Trail(), 0)).toBeUndefined();
    expect(speedOf(walk(2, 10, 1), 1_000)).toBeUndefined();
    const parked = new Trail();
    parked.add(0, 1, 1, 0);
    expect(speedOf(parked, 500)).toBe(0);
  });

  it('does not count the time of standing before a start', () => {
    const trail = new Trail();
    trail.add(0, 0, 0, 0);
    for (let step = 1; step <= 10; step += 1) trail.add(60_000 + step * 100, step * 0.1, 0, 0);
    expect(speedOf(trail, 61_000)).toBeCloseTo(0.5);
  });
});

describe('a line of a chart', () => {
  it('goes from edge to edge', () => {
    const points = [
      [0, 0],
      [5, 10],
      [10, 5],
    ] as const;
    expect(sparkPath(points, { width: 100, height: 20 }, [0, 10])).toBe('M0.0 20.0L50.0 0.0L100.0 10.0');
    expect(sparkPath(points, { width: 100, height: 20 }, [0, 10], [-10, 10])).toBe('M50.0 20.0L75.0 0.0L100.0 10.0');
  });

  it('survives no values, one, and equal ones', () => {
    expect(sparkPath([], { width: 9, height: 9 }, [0, 0])).toBe('');
    expect(sparkPath([[3, 3]], { width: 9, height: 9 }, [3, 3])).toBe('M0.0 9.0');
  });
});
