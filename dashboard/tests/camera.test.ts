import { describe, expect, it } from 'vitest';

import {
  boundsOf,
  contains,
  fit,
  length,
  MAX_SCALE,
  MIN_SCALE,
  panBy,
  roundStep,
  scaleBar,
  toMetres,
  toScreen,
  visibleBounds,
  zoomAt,
  type Camera,
} from '../src/map/camera';
import { random } from '../dev/site';

const camera: Camera = { x: 12, y: -3, scale: 25, width: 900, height: 600 };

function cameras(): Camera[] {
  const next = random(3);
  return Array.from({ length: 200 }, () => ({
    x: (next() - 0.5) * 2_000,
    y: (next() - 0.5) * 2_000,
    scale: 10 ** (next() * 4 - 2),
    width: 300 + next() * 1_600,
    height: 300 + next() * 1_000,
  }));
}

describe('metres and pixels', () => {
  it('has x to the right and y up, the camera’s point in the middle', () => {
    expect(toScreen(camera, { x: 12, y: -3 })).toEqual({ x: 450, y: 300 });
    expect(toScreen(camera, { x: 13, y: -2 })).toEqual({ x: 475, y: 275 });
  });

  it('comes back to the same point', () => {
    for (const one of cameras()) {
      const point = { x: one.x + 7.25, y: one.y - 3.5 };
      const back = toMetres(one, toScreen(one, point));
      expect(back.x).toBeCloseTo(point.x, 6);
      expect(back.y).toBeCloseTo(point.y, 6);
    }
  });
});

describe('zoom', () => {
  it('keeps the point under the cursor where it is', () => {
    for (const one of cameras()) {
      const pixel = { x: one.width * 0.2, y: one.height * 0.9 };
      const under = toMetres(one, pixel);
      for (const factor of [0.3, 0.9, 1.1, 4]) {
        const after = toScreen(zoomAt(one, factor, pixel), under);
        expect(after.x).toBeCloseTo(pixel.x, 4);
        expect(after.y).toBeCloseTo(pixel.y, 4);
      }
    }
  });

  it('stops at both ends', () => {
    expect(zoomAt(camera, 1e9, { x: 0, y: 0 }).scale).toBe(MAX_SCALE);
    expect(zoomAt(camera, 1e-9, { x: 0, y: 0 }).scale).toBe(MIN_SCALE);
  });
});

describe('pan', () => {
  it('moves the picture with the hand', () => {
    const point = { x: 10, y: 0 };
    const before = toScreen(camera, point);
    const after = toScreen(panBy(camera, 30, -12), point);
    expect(after.x - before.x).toBeCloseTo(30);
    expect(after.y - before.y).toBeCloseTo(-12);
  });
});

describe('fit', () => {
  it('shows all of the bounds with room around them', () => {
    const bounds = { minX: -10, minY: 5, maxX: 70, maxY: 25 };
    const fitted = fit(camera, bounds, 40);
    expect(contains(visibleBounds(fitted), bounds)).toBe(true);
    expect(toScreen(fitted, { x: -10, y: 5 }).x).toBeCloseTo(40);
  });

  it('leaves out what something lies over', () => {
    const bounds = { minX: 0, minY: 0, maxX: 10, maxY: 40 };
    const fitted = fit(camera, bounds, 24, 60, 100);
    expect(toScreen(fitted, { x: 5, y: 40 }).y).toBeCloseTo(60);
    expect(toScreen(fitted, { x: 5, y: 0 }).y).toBeCloseTo(fitted.height - 100);
    expect(toScreen(fitted, { x: 5, y: 0 }).x).toBeCloseTo(fitted.width / 2);
  });

  it('gives a single point a few metres around it', () => {
    const fitted = fit(camera, { minX: 3, maxX: 3, minY: 4, maxY: 4 });
    expect(fitted.x).toBe(3);
    expect(fitted.scale).toBeLessThan(300);
  });

  it('survives a canvas without a size', () => {
    const fitted = fit({ ...camera, width: 0, height: 0 }, { minX: 0, maxX: 10, minY: 0, maxY: 10 });
    expect(fitted.scale).toBeGreaterThan(0);
  });
});

describe('bounds', () => {
  it('encloses the points and leaves out what is no number', () => {
    const points = [
      { x: 1, y: 9 },
      { x: -4, y: NaN },
      { x: 3, y: -2 },
    ];
    expect(boundsOf(points)).toEqual({ minX: 1, maxX: 3, minY: -2, maxY: 9 });
    expect(boundsOf([])).toBeUndefined();
  });
});

describe('round lengths', () => {
  it.each([
    [25, 80, 5],
    [100, 80, 1],
    [80, 80, 1],
    [79, 80, 2],
    [0.01, 80, 10_000],
  ])('a grid at %f px a metre, at least %f px wide, is %f m', (scale, pixels, metres) => {
    expect(roundStep(scale, pixels)).toBeCloseTo(metres, 9);
  });

  it.each([
    [25, '2 m'],
    [1_000, '10 cm'],
    [0.05, '2 km'],
    [20, '5 m'],
  ])('a scale bar at %f px a metre says %s', (scale, label) => {
    const bar = scaleBar(scale, 110);
    expect(bar.label).toBe(label);
    expect(bar.pixels).toBeLessThanOrEqual(110.001);
    expect(bar.pixels).toBeGreaterThan(40);
  });

  it('says lengths with their unit', () => {
    expect([length(0.005), length(0.02), length(0.5), length(1), length(200), length(5_000)]).toEqual([
      '5 mm',
      '2 cm',
      '50 cm',
      '1 m',
      '200 m',
      '5 km',
    ]);
  });
});
