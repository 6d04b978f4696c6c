import { describe, expect, it } from 'vitest';
import type { Device } from '@anita/client';

import type { Camera } from '../src/map/camera';
import { LabelPlaces } from '../src/map/labels';
import { MOUSE_REACH, pick, type Pickable } from '../src/map/pick';
import { GAP_MS, Trail, trailSpacing } from '../src/map/trail';
import { glide, World } from '../src/world';

const camera: Camera = { x: 0, y: 0, scale: 10, width: 200, height: 200 };

function at(id: string, x: number, y: number, kind = 'tag'): Pickable {
  return { id, kind, shownX: x, shownY: y, placed: true };
}

describe('picking', () => {
  const items = [at('a', 0, 0), at('b', 1, 0), at('wall', 3, 0, 'anchor'), at('near-wall', 3.3, 0)];

  it('takes the nearest', () => {
    expect(pick(items, camera, { x: 103, y: 100 }, MOUSE_REACH)).toBe('a');
    expect(pick(items, camera, { x: 107, y: 100 }, MOUSE_REACH)).toBe('b');
  });

  it('takes nothing out of reach', () => {
    expect(pick(items, camera, { x: 100, y: 130 }, MOUSE_REACH)).toBeUndefined();
  });

  it('prefers a tag to an anchor that is hardly nearer', () => {
    expect(pick(items, camera, { x: 131, y: 100 }, MOUSE_REACH)).toBe('near-wall');
    const apart = [at('wall', 3, 0, 'anchor'), at('tag', 4, 0)];
    expect(pick(apart, camera, { x: 130, y: 100 }, MOUSE_REACH)).toBe('wall');
  });

  it('leaves out what is not shown', () => {
    expect(pick(items, camera, { x: 103, y: 100 }, MOUSE_REACH, ({ id }) => id !== 'a')).toBe('b');
  });

  it('leaves out what has no position', () => {
    expect(pick([{ ...at('a', 0, 0), placed: false }], camera, { x: 100, y: 100 }, MOUSE_REACH)).toBeUndefined();
  });
});

describe('names', () => {
  it('do not lie on each other', () => {
    const places = new LabelPlaces();
    expect(places.claim(10, 10, 60, 14)).toBe(true);
    expect(places.claim(40, 15, 60, 14)).toBe(false);
    expect(places.claim(10, 40, 60, 14)).toBe(true);
    places.clear();
    expect(places.claim(40, 15, 60, 14)).toBe(true);
  });
});

/** The lines that are drawn, each as the x of its points. */
function lines(trail: Trail, from = -Infinity, to = Infinity, near = 0): number[][] {
  const found: number[][] = [];
  const pen = { moveTo: (x: number) => found.push([x]), lineTo: (x: number) => found.at(-1)?.push(x) };
  trail.trace(pen, from, to, near);
  return found;
}

describe('trails', () => {
  it('join the points, newest first', () => {
    const trail = new Trail();
    for (let step = 0; step < 4; step += 1) trail.add(step * 1_000, step, 0, 0);
    expect(lines(trail)).toEqual([[3, 2, 1, 0]]);
    expect(lines(trail, 1_000, 2_000)).toEqual([[2, 1]]);
    expect(lines(trail, 500, 2_500)).toEqual([[2, 1, 0]]);
    expect(lines(trail, 9_000, 9_500)).toEqual([]);
  });

  it('do not bridge a gap', () => {
    const trail = new Trail();
    trail.add(0, 0, 0, 0);
    trail.add(1_000, 1, 0, 0);
    trail.add(GAP_MS + 1_001, 8, 9, 0);
    trail.add(GAP_MS + 1_100, 9, 9, 0);
    expect(lines(trail)).toEqual([
      [9, 8],
      [1, 0],
    ]);
  });

  it('leave out points that nobody would see, but not the last of a line', () => {
    const trail = new Trail();
    for (let step = 0; step <= 10; step += 1) trail.add(step * 100, step, 0, 0);
    expect(lines(trail, -Infinity, Infinity, 3)).toEqual([[10, 7, 4, 1, 0]]);
  });

  it('keep their points apart, and the head where the tag is', () => {
    const trail = new Trail();
    for (let step = 0; step <= 100; step += 1) trail.add(step * 10, step, 0, 100);
    expect(trail.size).toBeLessThan(15);
    expect(lines(trail)[0]?.[0]).toBe(100);
  });

  it('know where a tag was', () => {
    const trail = new Trail();
    for (let step = 0; step < 400; step += 1) trail.add(step * 100, step, 0, 0);
    expect(trail.before(39_950)).toEqual({ time: 39_900, x: 399, y: 0 });
    expect(trail.before(39_900)?.x).toBe(399);
    expect(trail.before(0)).toBeUndefined();
    const seen: number[] = [];
    trail.each((time) => seen.push(time));
    expect([seen.length, seen[0], seen[1]]).toEqual([trail.size, 39_900, 39_800]);
  });

  it('hold the whole of their time in fixed memory', () => {
    for (const seconds of [5, 10, 30, 60, 120]) {
      const trail = new Trail();
      const last = seconds * 3_000;
      for (let time = 0; time <= last; time += 100) trail.add(time, time, 0, trailSpacing(seconds));
      expect(trail.size).toBeLessThanOrEqual(160);
      const oldest = lines(trail, last - seconds * 1_000)[0]?.at(-1);
      expect(oldest).toBeLessThanOrEqual(last - seconds * 1_000 + 200);
    }
  });
});

function device(id: string, x: number, y: number): Device {
  return { id, kind: 'tag', status: 'connected', last_seen: null, location: { x, y, z: 0 } };
}

describe('the world', () => {
  it('follows the devices of the client', () => {
    const devices = new Map([['a', device('a', 1, 1)]]);
    const world = new World();
    let changes = 0;
    world.onChange = () => (changes += 1);
    world.attach(devices);
    world.update(['a'], 0);
    expect(world.tracks.get('a')).toMatchObject({ x: 1, shownX: 1, placed: true });
    devices.set('a', device('a', 2, 1));
    world.update(['a'], 100);
    expect(world.tracks.get('a')).toMatchObject({ x: 2, shownX: 1 });
    devices.delete('a');
    world.update(['a'], 200);
    expect(world.tracks.size).toBe(0);
    expect(changes).toBe(3);
  });

  it('counts the fixes of a device, not what else changes of it', () => {
    const first = device('a', 1, 1);
    const devices = new Map([['a', first]]);
    const world = new World();
    world.attach(devices);
    world.update(['a'], 0);
    devices.set('a', { ...first, name: 'Anna' });
    world.update(['a'], 100);
    expect(world.tracks.get('a')?.fixes).toBe(0);
    devices.set('a', { ...first, location: { x: 1, y: 1, z: 0 } });
    world.update(['a'], 200);
    expect(world.tracks.get('a')?.fixes).toBe(1);
  });

  it('glides to the newest fix and then rests', () => {
    const devices = new Map([['a', device('a', 0, 0)]]);
    const world = new World();
    world.attach(devices);
    world.update(['a'], 0);
    devices.set('a', device('a', 1, 0));
    world.update(['a'], 100);
    const track = world.tracks.get('a');
    expect(glide(world.tracks.values(), 16, 0.01, false)).toBe(true);
    expect(track?.shownX).toBeGreaterThan(0);
    expect(track?.shownX).toBeLessThan(1);
    for (let frame = 0; frame < 60; frame += 1) glide(world.tracks.values(), 16, 0.01, false);
    expect(track?.shownX).toBe(1);
    expect(glide(world.tracks.values(), 16, 0.01, false)).toBe(false);
  });

  it('jumps where nobody could have walked, and where motion is unwanted', () => {
    const devices = new Map([['a', device('a', 0, 0)]]);
    const world = new World();
    world.attach(devices);
    world.update(['a'], 0);
    devices.set('a', device('a', 500, 0));
    world.update(['a'], 100);
    expect(world.tracks.get('a')?.shownX).toBe(500);
    devices.set('a', device('a', 501, 0));
    world.update(['a'], 200);
    expect(glide(world.tracks.values(), 16, 0.01, true)).toBe(false);
    expect(world.tracks.get('a')?.shownX).toBe(501);
  });

  it('keeps a device without a position off the map', () => {
    const world = new World();
    world.attach(new Map([['a', { ...device('a', 0, 0), location: null }]]));
    world.update(['a'], 0);
    expect(world.tracks.get('a')?.placed).toBe(false);
  });
});
