import { describe, expect, it } from 'vitest';
import type { Device } from '@anita/client';

import { arrange, countByStatus, type Choice } from '../src/list/order';
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

const choice: Choice = { search: '', status: 'all', sort: 'name', descending: false };
const ids = (change: Partial<Choice>): string[] => arrange(devices, { ...choice, ...change }).map(({ id }) => id);

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

  it('is the same whatever order the devices come in', () => {
    for (const sort of ['name', 'status', 'seen', 'battery'] as const) {
      const reversed = arrange([...devices].reverse(), { ...choice, sort }).map(({ id }) => id);
      expect(reversed).toEqual(ids({ sort }));
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
