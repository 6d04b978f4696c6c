import { describe, expect, it } from 'vitest';
import type { Device } from '@anita/client';

import { floorAfter, floorsOf, isOnFloor } from '../src/map/floors';
import { area, distance, MAX_POINTS, pieces, total, withPoint } from '../src/map/measure';
import { isWithin, zoneAt } from '../src/map/zones';

function device(floor?: number): Device {
  const at = { id: 'a', kind: 'tag', status: 'connected', last_seen: null, location: null } as const;
  return floor === undefined ? at : { ...at, floor };
}

describe('measuring', () => {
  const corner = [
    { x: 0, y: 0 },
    { x: 3, y: 4 },
    { x: 3, y: 0 },
  ];

  it('adds up the pieces, in metres', () => {
    expect(distance({ x: 1, y: 1 }, { x: 4, y: 5 })).toBe(5);
    expect(pieces(corner)).toEqual([5, 4]);
    expect(total(corner)).toBe(9);
    expect([total([]), total([{ x: 1, y: 1 }])]).toEqual([0, 0]);
  });

  it('knows the area within, whichever way round', () => {
    expect(area(corner)).toBe(6);
    expect(area([...corner].reverse())).toBe(6);
    expect(area(corner.slice(0, 2))).toBe(0);
  });

  it('takes no point twice in a row, and not more than anybody sets', () => {
    const points = withPoint(corner, { x: 3, y: 0 });
    expect(points).toHaveLength(3);
    expect(withPoint(points, { x: 0, y: 0 })).toHaveLength(4);
    const many = Array.from({ length: MAX_POINTS }, (_, x) => ({ x, y: 0 }));
    expect(withPoint(many, { x: -1, y: 0 })).toHaveLength(MAX_POINTS);
  });
});

describe('floors', () => {
  it('are those that devices are on, lowest first', () => {
    expect(floorsOf([device(2), device(), device(-1), device(2), device(0)])).toEqual([-1, 0, 2]);
  });

  it('keep what is on them, and what tells no floor', () => {
    expect([device(1), device(0), device()].map((one) => isOnFloor(one, 1))).toEqual([true, false, true]);
    expect([device(1), device()].map((one) => isOnFloor(one, null))).toEqual([true, true]);
  });

  it('are chosen by number, and all again by the same number', () => {
    expect(floorAfter([-1, 0, 2], null, 2)).toBe(2);
    expect(floorAfter([-1, 0, 2], 2, 2)).toBeNull();
    expect(floorAfter([-1, 0, 2], 2, 0)).toBe(-1);
    expect(floorAfter([-1, 0, 2], 0, 7)).toBe(0);
  });
});

describe('zones', () => {
  // The letter L.
  const polygon = [
    [0, 0],
    [4, 0],
    [4, 1],
    [1, 1],
    [1, 4],
    [0, 4],
  ] as const;

  it('hold the points within them, also where they bend inwards', () => {
    expect(isWithin(3, 0.5, polygon)).toBe(true);
    expect(isWithin(0.5, 3, polygon)).toBe(true);
    expect(isWithin(3, 3, polygon)).toBe(false);
    expect(isWithin(-1, 0.5, polygon)).toBe(false);
    expect(isWithin(5, 0.5, polygon)).toBe(false);
  });

  it('hold their lower and left edges, and not the others', () => {
    expect([isWithin(0, 0.5, polygon), isWithin(2, 0, polygon)]).toEqual([true, true]);
    expect([isWithin(4, 0.5, polygon), isWithin(2, 1, polygon)]).toEqual([false, false]);
    // As high as a corner.
    expect([isWithin(0.5, 1, polygon), isWithin(-1, 1, polygon), isWithin(9, 1, polygon)]).toEqual([
      true,
      false,
      false,
    ]);
    expect([isWithin(-1, 0, polygon), isWithin(-1, 4, polygon)]).toEqual([false, false]);
  });

  it('share no point with their neighbours', () => {
    const next = polygon.map(([x, y]) => [x + 4, y] as const);
    const holders = (x: number, y: number): number => [polygon, next].filter((one) => isWithin(x, y, one)).length;
    expect(holders(4, 0.5)).toBe(1);
    expect(holders(3.999, 0.5)).toBe(1);
  });

  it('are found by a point, the first one first', () => {
    const zones = [
      { name: 'L', polygon },
      {
        name: 'all',
        polygon: [
          [-9, -9],
          [9, -9],
          [9, 9],
          [-9, 9],
        ] as const,
      },
    ];
    expect(zoneAt(0.5, 0.5, zones)?.name).toBe('L');
    expect(zoneAt(3, 3, zones)?.name).toBe('all');
    expect(zoneAt(30, 3, zones)).toBeUndefined();
  });
});
