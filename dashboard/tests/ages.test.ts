import { describe, expect, it } from 'vitest';
import type { Device } from '@anita/client';

import { fadeOf, Fading, FRESH, LOST, STALE } from '../src/map/fading';
import { Trail } from '../src/map/trail';
import type { Track } from '../src/world';

const START = Date.UTC(2026, 10, 22, 10);
const stamp = (seconds: number): string => new Date(START + seconds * 1_000).toISOString().replace('Z', '000Z');

function track(change: Partial<Device> = {}): Track {
  const device: Device = {
    id: 'a',
    kind: 'tag',
    status: 'connected',
    last_seen: stamp(0),
    location: { x: 0, y: 0, z: 0 },
    ...change,
  };
  const { id, kind } = device;
  const at = { x: 0, y: 0, shownX: 0, shownY: 0, placed: true };
  return { id, kind, device, label: id, ...at, fade: FRESH, fixes: 0, trail: new Trail() };
}

describe('the age of a fix', () => {
  it('is fresh, stale and lost, the later the slower the tag reports', () => {
    expect([0, 3_000, 3_001, 30_000, 30_001].map((ms) => fadeOf(ms, 100))).toEqual([FRESH, FRESH, STALE, STALE, LOST]);
    expect([20_000, 20_001, 100_000, 100_001].map((ms) => fadeOf(ms, 10_000))).toEqual([FRESH, STALE, STALE, LOST]);
  });

  it('is judged by the server’s clock, and a tag that comes back is fresh', () => {
    const fading = new Fading();
    const one = track();
    const tracks = new Map([['a', one]]);
    expect(fading.judge(tracks, START + 1_000)).toBe(false);
    expect(fading.judge(tracks, START + 10_000)).toBe(true);
    expect(one.fade).toBe(STALE);
    fading.judge(tracks, START + 60_000);
    expect(one.fade).toBe(LOST);
    one.device = { ...one.device, last_seen: stamp(60) };
    expect(fading.judge(tracks, START + 60_100)).toBe(true);
    expect(one.fade).toBe(FRESH);
  });

  it('learns how often a tag reports', () => {
    const fading = new Fading();
    const one = track();
    const tracks = new Map([['a', one]]);
    for (let second = 0; second <= 200; second += 10) {
      one.device = { ...one.device, last_seen: stamp(second) };
      fading.judge(tracks, START + second * 1_000);
    }
    fading.judge(tracks, START + 219_000);
    expect(one.fade).toBe(FRESH);
    fading.judge(tracks, START + 221_000);
    expect(one.fade).toBe(STALE);
  });

  it('does not fade what hangs on the wall, and takes a tag that was never heard for lost', () => {
    const fading = new Fading();
    const wall = track({ id: 'wall', kind: 'anchor', last_seen: stamp(-9_000) });
    const never = track({ id: 'never', last_seen: null });
    const tracks = new Map([wall, never].map((one) => [one.id, one]));
    fading.judge(tracks, START);
    expect([wall.fade, never.fade]).toEqual([FRESH, LOST]);
  });
});
