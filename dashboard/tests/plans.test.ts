import { describe, expect, it } from 'vitest';

import {
  carried,
  guess,
  judge,
  metresOf,
  metresPerPixel,
  plansOn,
  readPlans,
  rotationDegrees,
  similarity,
  svgSize,
  type Calibration,
  type Pair,
  type Plan,
} from '../src/plans/plan';

const pair = (x: number, y: number, east: number, north: number): Pair => ({
  pixel: { x, y },
  metres: { x: east, y: north },
});

/** Numbers that look random and are the same in every run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

describe('where a picture lies', () => {
  it('has its top in the north when it is not turned', () => {
    const lies = similarity([pair(0, 400, 0, 0), pair(800, 0, 40, 20)]);
    expect(lies).toEqual({ a: 0.05, b: 0, x0: 0, y0: 20 });
    expect(metresOf(lies, { x: 800, y: 400 })).toEqual({ x: 40, y: 0 });
    expect(rotationDegrees(lies)).toBe(0);
  });

  it('is turned to the left when its right is the north', () => {
    const lies = similarity([pair(0, 0, 5, 5), pair(100, 0, 5, 15)]);
    expect(rotationDegrees(lies)).toBeCloseTo(90);
    expect(metresOf(lies, { x: 0, y: 100 }).x).toBeCloseTo(15);
  });

  it('is found again from any two points, and never mirrored', () => {
    const random = numbers(7);
    const within = (low: number, high: number): number => low + random.next().value * (high - low);
    for (let round = 0; round < 500; round += 1) {
      const [scale, angle] = [10 ** within(-3, 1), within(-Math.PI, Math.PI)];
      const true_ = {
        a: scale * Math.cos(angle),
        b: scale * Math.sin(angle),
        x0: within(-1e4, 1e4),
        y0: within(-1e4, 1e4),
      };
      const at = (): Pair => {
        const pixel = { x: within(0, 8_000), y: within(0, 8_000) };
        return { pixel, metres: metresOf(true_, pixel) };
      };
      const calibration: Calibration = [at(), at()];
      if (judge(calibration) !== undefined) continue;
      const lies = similarity(calibration);
      const probe = at();
      const found = metresOf(lies, probe.pixel);
      expect(Math.hypot(found.x - probe.metres.x, found.y - probe.metres.y)).toBeLessThan(scale);
      expect(metresPerPixel(lies) / scale).toBeCloseTo(1, 3);
      const [corner, right, down] = [
        { x: 0, y: 0 },
        { x: 1, y: 0 },
        { x: 0, y: 1 },
      ].map((pixel) => metresOf(lies, pixel));
      if (corner === undefined || right === undefined || down === undefined) throw new Error('three points');
      const turn = (right.x - corner.x) * (down.y - corner.y) - (right.y - corner.y) * (down.x - corner.x);
      expect(turn).toBeLessThan(0);
    }
  });

  it.each([
    ['samePixel', [pair(0, 0, 0, 0), pair(1, 1, 9, 9)]],
    ['sameMetres', [pair(0, 0, 3, 3), pair(90, 0, 3, 3)]],
    ['scale', [pair(0, 0, 0, 0), pair(10, 0, 1_001, 0)]],
    ['scale', [pair(0, 0, 0, 0), pair(1_001, 0, 0.1, 0)]],
    ['number', [pair(0, 0, NaN, 0), pair(10, 0, 9, 0)]],
    [undefined, [pair(0, 0, 0, 0), pair(10, 0, 1, 0)]],
  ] as const)('%s', (reason, calibration) => {
    expect(judge(calibration)).toBe(reason);
  });

  it('is guessed as the whole picture in the middle of the site', () => {
    const place = { minX: 0, minY: 0, maxX: 40, maxY: 30 };
    const lies = similarity(guess({ width: 800, height: 400 }, place));
    expect(metresPerPixel(lies)).toBeCloseTo(0.05, 4);
    expect(metresOf(lies, { x: 400, y: 200 }).x).toBeCloseTo(20, 1);
    expect(metresOf(lies, { x: 400, y: 200 }).y).toBeCloseTo(15, 1);
    for (const width of [1, 100_000]) expect(judge(guess({ width, height: 90 }, undefined))).toBeUndefined();
  });

  it('stays with more pixels of the same drawing, and is forgotten with another drawing', () => {
    const before = { url: '/a', width: 400, height: 200, vector: false };
    const calibration: Calibration = [pair(10, 10, 0, 0), pair(390, 190, 40, -20)];
    const finer = carried(calibration, before, { ...before, width: 800, height: 401 });
    expect(finer?.[1]).toEqual(pair(780, 380, 40, -20));
    expect(carried(calibration, before, { ...before, height: 300 })).toBeUndefined();
  });
});

describe('an SVG', () => {
  it.each([
    ['<svg width="400" height="200">', 400, 200],
    ["<svg width='2in' height='25.4mm'>", 192, 96],
    ['<?xml version="1.0"?><!-- <svg width="1" height="1"/ --><s:svg viewBox="0 0 40.5,20" >', 40.5, 20],
    ['<svg\n width="100%" height="100%" viewBox="-5 -5 40 20"/>', 40, 20],
    ['<svg data-width="7" width="800" viewBox="0 0 40 20">', 800, 400],
    ['<svg height="1e2" viewBox="0 0 40 20">', 200, 100],
  ])('%s', (text, width, height) => {
    const found = svgSize(text);
    expect(found?.width).toBeCloseTo(width);
    expect(found?.height).toBeCloseTo(height);
  });

  it('may not say its size', () => {
    for (const text of ['<svg>', '<svg width="10">', '<svg viewBox="0 0 0 9">', '<svgs width="1" height="1">', '']) {
      expect(svgSize(text)).toBeUndefined();
    }
  });
});

describe('the plans of a floor', () => {
  const plan = (id: string, floor: number | null, site?: string): Plan => ({
    id,
    name: id,
    site,
    floor,
    opacity: 1,
    calibration: undefined,
    picture: { url: `/${id}`, width: 1, height: 1, vector: false },
  });
  const all = [plan('yard', null), plan('cellar', -1), plan('first', 1), plan('second', 2), plan('other', 1, 'north')];
  const on = (floor: number | null, plans = all, name = 'main'): string[] =>
    plansOn(plans, floor, { name, zones: [] }).map(({ id }) => id);

  it('are those of it and those of every floor', () => {
    expect(on(2)).toEqual(['yard', 'second']);
    expect(on(-1)).toEqual(['yard', 'cellar']);
    expect(on(7)).toEqual(['yard']);
    expect(on(1, all, 'north')).toEqual(['yard', 'first', 'other']);
  });

  it('are those next to the ground where all floors are shown', () => {
    expect(on(null)).toEqual(['yard', 'first']);
    expect(on(null, [plan('cellar', -1), plan('second', 2)])).toEqual(['cellar']);
    expect(on(null, [{ ...plan('empty', 0), picture: undefined }, plan('second', 2)])).toEqual(['second']);
  });
});

it('reads what the server tells, and leaves out what is odd', () => {
  const points = [
    { pixel: { x: 0, y: 0 }, metres: { x: 0, y: 0 } },
    { pixel: { x: 9, y: 0 }, metres: { x: 9, y: 0 } },
  ];
  const told = {
    plans: [
      {
        id: 'a',
        name: 'A',
        floor: 0,
        opacity: 2,
        calibration: { points },
        picture: { url: '/api/v1/plans/a/picture?revision=1', width_px: 9, height_px: 5, media_type: 'image/svg+xml' },
      },
      {
        id: 'b',
        calibration: { points: points.slice(1) },
        picture: { url: 'https://evil.example', width_px: 9, height_px: 5 },
      },
      { name: 'no id' },
      null,
    ],
    limits: { picture_bytes_max: 7, media_types: ['image/png', 3] },
  };
  const { plans, limits } = readPlans(told);
  expect(plans).toHaveLength(2);
  expect(plans[0]).toMatchObject({ id: 'a', floor: 0, opacity: 1, picture: { width: 9, vector: true } });
  expect(plans[0]?.calibration).toEqual(points);
  expect(plans[1]).toEqual({
    id: 'b',
    name: 'b',
    site: undefined,
    floor: null,
    opacity: 1,
    calibration: undefined,
    picture: undefined,
  });
  expect(limits).toEqual({ plans: 64, pictureBytes: 7, mediaTypes: ['image/png'] });
  expect(readPlans('<html>').plans).toEqual([]);
});
