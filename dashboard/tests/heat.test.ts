import { describe, expect, it } from 'vitest';

import { HALF_LIFE_MS, HeatGrid } from '../src/map/heat';
import { Trail } from '../src/map/trail';

const BOUNDS = { minX: 0, minY: 0, maxX: 40, maxY: 20 };
const ramp = Uint32Array.from({ length: 256 }, (_, index) => index + 1_000);

function coloured(grid: HeatGrid): Uint32Array {
  const pixels = new Uint32Array(grid.columns * grid.rows);
  grid.colour(pixels, ramp);
  return pixels;
}

describe('the heat grid', () => {
  it('has square cells that cover the bounds', () => {
    const grid = new HeatGrid(BOUNDS, 40);
    expect([grid.columns, grid.rows]).toEqual([40, 20]);
    expect(grid.bounds).toEqual(BOUNDS);
    const odd = new HeatGrid({ ...BOUNDS, maxY: 19.5 }, 40);
    expect(odd.rows).toBe(20);
    expect(odd.bounds.maxY).toBe(20);
  });

  it('holds a stay where it was, and loses nothing of it', () => {
    const grid = new HeatGrid(BOUNDS, 40);
    grid.add({ x: 10.5, y: 4.5 }, 8);
    expect(grid.at({ x: 10.5, y: 4.5 })).toBe(2);
    expect(grid.at({ x: 11.5, y: 4.5 })).toBe(1);
    expect(grid.at({ x: 11.5, y: 5.5 })).toBe(0.5);
    expect(grid.at({ x: 12.5, y: 4.5 })).toBe(0);
    let sum = 0;
    for (let x = 9.5; x < 12; x += 1) for (let y = 3.5; y < 6; y += 1) sum += grid.at({ x, y });
    expect(sum).toBe(8);
  });

  it('halves in its half-life', () => {
    const grid = new HeatGrid(BOUNDS, 40);
    grid.add({ x: 10.5, y: 4.5 }, 8);
    grid.decay(HALF_LIFE_MS);
    expect(grid.at({ x: 10.5, y: 4.5 })).toBeCloseTo(1, 5);
  });

  it('leaves out what is outside, also at its edges', () => {
    const grid = new HeatGrid(BOUNDS, 40);
    for (const [x, y] of [
      [-0.1, 5],
      [40.1, 5],
      [5, -0.1],
      [5, 20.1],
      [NaN, 5],
    ] as const) {
      grid.add({ x, y }, 1);
    }
    expect(coloured(grid).every((pixel) => pixel === 0)).toBe(true);
    grid.add({ x: 0, y: 20 }, 1);
    expect(grid.at({ x: 0.5, y: 19.5 })).toBe(0.25);
    expect(grid.at({ x: 39.5, y: 19.5 })).toBe(0);
    grid.add({ x: 39.9, y: 10.5 }, 1);
    expect([grid.at({ x: 0.5, y: 10.5 }), grid.at({ x: 0.5, y: 9.5 })]).toEqual([0, 0]);
  });

  it('colours by the share of the fullest cell, top row first, and the rest not at all', () => {
    const grid = new HeatGrid(BOUNDS, 40);
    grid.add({ x: 0.5, y: 19.5 }, 100);
    grid.add({ x: 20.5, y: 10.5 }, 25);
    grid.add({ x: 30.5, y: 10.5 }, 0.5);
    const pixels = coloured(grid);
    expect(pixels[0]).toBe(1_255);
    expect(pixels[9 * 40 + 20]).toBe(1_128);
    expect(pixels[9 * 40 + 30]).toBe(0);
  });

  it('begins with where the tags have been', () => {
    const trail = new Trail();
    // A second each at 5, 6 and 7 metres, then four seconds of rest, of which one is over.
    for (let step = 0; step < 3; step += 1) trail.add(step * 1_000, 5.5 + step * 4, 5.5, 0);
    const grid = new HeatGrid(BOUNDS, 40);
    grid.addTrail(trail, 6_000);
    expect(grid.at({ x: 13.5, y: 5.5 })).toBeGreaterThan(3 * grid.at({ x: 5.5, y: 5.5 }));
    expect(grid.at({ x: 5.5, y: 5.5 })).toBeGreaterThan(0.2);
  });
});
