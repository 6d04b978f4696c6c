import { describe, expect, test } from 'vitest';
import { check, findFault } from '../src/validate.js';
import { shapes, type Shape } from '../src/wire.gen.js';

const place = { x: 1, y: 2, z: 0 };
const device = { id: 'a', kind: 'tag', status: 'stale', last_seen: null, location: null };

describe('shapes', () => {
  test.each<[Shape, unknown, string | undefined]>([
    ['s', 'text', undefined],
    ['s', 3, ''],
    ['n', 3.5, undefined],
    ['n', '3', ''],
    ['n', Number.NaN, ''],
    ['n', Infinity, ''],
    ['b', false, undefined],
    ['b', 0, ''],
    ['*', null, undefined],
    ['*', undefined, ''],
    [['?', 's'], null, undefined],
    [['?', 's'], 'text', undefined],
    [['?', 's'], undefined, ''],
    [['=', 'a', 'b'], 'b', undefined],
    [['=', 'a', 'b'], 'c', ''],
    [['[]', 'n'], [], undefined],
    [['[]', 'n'], [1, 2, 'x'], '[2]'],
    [['[]', 'n'], { 0: 1 }, ''],
    [['{}', 'n'], { a: 1 }, undefined],
    [['{}', 'n'], { a: 1, b: null }, 'b'],
    [['{}', 'n'], [1], ''],
    [['|', 's', 'n'], 4, undefined],
    [['|', 's', 'n'], true, ''],
    [['[]', ['[]', 'n']], [[1], ['x']], '[1][0]'],
    [{ a: 's', 'b?': 'n' }, { a: 'x' }, undefined],
    [{ a: 's', 'b?': 'n' }, { a: 'x', b: undefined }, undefined],
    [{ a: 's', 'b?': 'n' }, { a: 'x', b: null }, 'b'],
    [{ a: 's', 'b?': 'n' }, { b: 1 }, 'a'],
    [{ a: 's' }, { a: 'x', more: [] }, undefined],
    [{ a: 's' }, [], ''],
    [{ a: 's' }, null, ''],
    [{ a: { b: { c: 's' } } }, { a: { b: { c: 1 } } }, 'a.b.c'],
  ])('%o takes %o: %s', (shape, value, path) => {
    expect(findFault(shape, value)?.path).toBe(path);
  });

  test.each<[string, unknown, string | undefined]>([
    ['uwb.location', { device_id: 'a', location: place, timestamp: 't', received_at: 't' }, undefined],
    ['uwb.location', { device_id: 'a', location: { x: '1' }, timestamp: 't', received_at: 't' }, 'location.x'],
    ['uwb.device_list', { devices: [device], total: 1 }, undefined],
    ['uwb.device_list', { devices: [device, { ...device, kind: 'duck' }], total: 2 }, 'devices[1].kind'],
    ['uwb.position_update', { positions: { a: place, 'b.c': { x: 1, y: 1 } }, timestamp: 't' }, 'positions.b.c.z'],
    ['report_location', { device_id: 'a', location: place }, undefined],
    ['report_location', { locations: [{ device_id: 'a', location: place }] }, undefined],
    ['report_location', { device_id: 7, location: place }, 'device_id'],
    ['start_position_tracking', { device_ids: ['a'] }, undefined],
    ['room.message', { room: 'r', name: 'n', data: null, from: { client_id: 'c', user_id: 'u' } }, undefined],
    ['acme.unheard_of', 17, undefined],
    ['constructor', 17, undefined],
  ])('%s %o: %s', (type, payload, path) => {
    const error = check(type, payload);
    expect((error?.details as { path: string } | undefined)?.path).toBe(path);
    if (error) expect(error).toMatchObject({ kind: 'validation', code: 'invalid_payload' });
  });

  test('every shape refuses what is no object', () => {
    for (const [type, shape] of Object.entries(shapes)) expect(findFault(shape, 'text'), type).toBeDefined();
  });
});
