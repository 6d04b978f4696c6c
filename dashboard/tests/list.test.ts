import { describe, expect, it } from 'vitest';
import type { Device } from '@anita/client';

import { EVERY_DEVICE, isFiltered, zoneOf, type Filters, type Place } from '../src/list/filters';
import { Arranger } from '../src/list/arranger';
import { countByStatus } from '../src/list/order';
import { rowWindow, scrollToRow } from '../src/list/window';

function device(id: string, change: Partial<Device> = {}): Device {
  return { id, kind: 'tag', status: 'connected', last_seen: null, location: null, ...change };
}

const devices = [
  device('tag-10', { last_seen: '2026-11-22T10:00:00.000000Z', battery: 80 }),
  device('tag-9', { name: 'Zoe', status: 'stale', last_seen: '2026-11-22T10:00:02.000000Z', battery: 10 }),
  device('tag-2', { last_seen: '2026-11-22T10:00:01.500000Z' }),
  device('a-wall', { kind: 'anchor', status: 'disconnected' }),
  device('b-wall', { kind: 'anchor' }),
];

const anywhere: Place = { zones: [], floor: null };
const ids = (change: Partial<Filters>, place = anywhere, of = devices): string[] =>
  new Arranger().arrange(of, { ...EVERY_DEVICE, ...change }, place).map(({ id }) => id);

describe('the order of the list', () => {
  it('goes by name as people count, tags before anchors', () => {
    expect(ids({})).toEqual(['tag-2', 'tag-10', 'tag-9', 'a-wall', 'b-wall']);
    expect(ids({ descending: true })).toEqual(['tag-9', 'tag-10', 'tag-2', 'b-wall', 'a-wall']);
  });

  it('goes by status, what needs a look first', () => {
    expect(ids({ sort: 'status' })).toEqual(['a-wall', 'tag-9', 'tag-2', 'tag-10', 'b-wall']);
  });

  it('goes by when a device was seen, the newest first', () => {
    expect(ids({ sort: 'seen' })).toEqual(['tag-9', 'tag-2', 'tag-10', 'a-wall', 'b-wall']);
  });

  it('goes by battery, the emptiest first, the unknown last', () => {
    expect(ids({ sort: 'battery' })).toEqual(['tag-9', 'tag-10', 'tag-2', 'a-wall', 'b-wall']);
  });

  it('is as fresh as the devices, however often it is asked', () => {
    const arranger = new Arranger();
    const asked = (of: Device[], change: Partial<Filters> = {}): string[] =>
      arranger.arrange(of, { ...EVERY_DEVICE, ...change }, anywhere).map(({ id }) => id);
    const [a, b, c] = [device('a'), device('b'), device('c')];
    expect(asked([c, a, b])).toEqual(['a', 'b', 'c']);
    expect(asked([c, { ...a, name: 'zoe' }, b])).toEqual(['b', 'c', 'a']);
    expect(asked([c, { ...a, name: 'zoe' }, b], { search: 'c' })).toEqual(['c']);
    expect(asked([c, b, device('aa')], { descending: true })).toEqual(['c', 'b', 'aa']);
    expect(asked([a, b, c])).toEqual(['a', 'b', 'c']);
  });

  it('goes by every number of the wide list, the unknown last in both directions', () => {
    const some = [
      device('far', { location: { x: 9, y: -1, z: 2 }, accuracy: 0.1 }),
      device('near', { location: { x: 1, y: 5, z: 2 }, accuracy: 2.5 }),
      device('nowhere'),
    ];
    expect(ids({ sort: 'x' }, anywhere, some)).toEqual(['near', 'far', 'nowhere']);
    expect(ids({ sort: 'x', descending: true }, anywhere, some)).toEqual(['far', 'near', 'nowhere']);
    expect(ids({ sort: 'y' }, anywhere, some)).toEqual(['far', 'near', 'nowhere']);
    expect(ids({ sort: 'quality' }, anywhere, some)).toEqual(['far', 'near', 'nowhere']);
    expect(ids({ sort: 'quality', descending: true }, anywhere, some)).toEqual(['near', 'far', 'nowhere']);
  });

  it('is the same whatever order the devices come in', () => {
    for (const sort of ['name', 'status', 'seen', 'battery'] as const) {
      expect(ids({ sort }, anywhere, [...devices].reverse())).toEqual(ids({ sort }));
    }
  });
});

describe('search and filter', () => {
  it('finds ids and names, whatever the case', () => {
    expect(ids({ search: ' TAG-1' })).toEqual(['tag-10']);
    expect(ids({ search: 'zo' })).toEqual(['tag-9']);
    expect(ids({ search: 'nobody' })).toEqual([]);
  });

  it('keeps one status', () => {
    expect(ids({ status: 'disconnected' })).toEqual(['a-wall']);
    expect(ids({ status: 'connected', search: 'wall' })).toEqual(['b-wall']);
  });

  it('keeps one kind', () => {
    expect(ids({ kind: 'anchor' })).toEqual(['a-wall', 'b-wall']);
  });

  it('keeps one zone, what is outside of all, and neither holds what is nowhere', () => {
    const zones = [
      {
        name: 'Office',
        polygon: [
          [0, 0],
          [4, 0],
          [4, 4],
          [0, 4],
        ] as const,
      },
      {
        name: 'Desk',
        polygon: [
          [1, 1],
          [2, 1],
          [2, 2],
          [1, 2],
        ] as const,
      },
    ];
    const placed = [
      device('in', { location: { x: 1.5, y: 1.5, z: 0 } }),
      device('out', { location: { x: 9, y: 1, z: 0 } }),
      device('nowhere'),
    ];
    const place = { zones, floor: null };
    expect(ids({ zone: 'Office' }, place, placed)).toEqual(['in']);
    expect(ids({ zone: '' }, place, placed)).toEqual(['out']);
    expect(placed.map((one) => zoneOf(one, zones))).toEqual(['Office', '', undefined]);
    expect(ids({ sort: 'zone' }, place, placed)[0]).toBe('in');
  });

  it('keeps one floor, and what tells none', () => {
    const tall = [device('cellar', { floor: -1 }), device('top', { floor: 1 }), device('any')];
    expect(ids({}, { zones: [], floor: 1 }, tall)).toEqual(['any', 'top']);
    expect(ids({ sort: 'floor', descending: true }, anywhere, tall)).toEqual(['top', 'cellar', 'any']);
  });

  it('knows whether anything may be left out', () => {
    expect(isFiltered({ ...EVERY_DEVICE, search: ' ', sort: 'battery' }, null)).toBe(false);
    for (const change of [{ search: 'a' }, { status: 'stale' }, { kind: 'tag' }, { zone: '' }] as const) {
      expect(isFiltered({ ...EVERY_DEVICE, ...change }, null)).toBe(true);
    }
    expect(isFiltered(EVERY_DEVICE, 0)).toBe(true);
  });

  it('counts each status', () => {
    expect(countByStatus(devices)).toEqual({ connected: 3, stale: 1, disconnected: 1 });
  });
});

describe('the rows in view', () => {
  it('are those that can be seen, and a few more', () => {
    expect(rowWindow(0, 400, 40, 2_000, 5)).toEqual({ first: 0, end: 15 });
    expect(rowWindow(4_000, 400, 40, 2_000, 5)).toEqual({ first: 95, end: 115 });
    expect(rowWindow(79_600, 400, 40, 2_000, 5)).toEqual({ first: 1_985, end: 2_000 });
  });

  it('are none when the list became shorter than where it was scrolled to', () => {
    expect(rowWindow(4_000, 400, 40, 3, 5)).toEqual({ first: 3, end: 3 });
    expect(rowWindow(0, 400, 40, 0)).toEqual({ first: 0, end: 0 });
  });

  it('scrolls only as far as needed', () => {
    expect(scrollToRow(0, 400, 40, 3, 32)).toBe(0);
    expect(scrollToRow(0, 400, 40, 20, 32)).toBe(472);
    expect(scrollToRow(800, 400, 40, 3, 32)).toBe(120);
  });
});
