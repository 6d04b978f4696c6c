import { describe, expect, test } from 'vitest';
import { seeded } from './random.js';
import { check, faultOf, shapeOf } from '../src/validate.js';
import { shapes } from '../src/wire.gen.js';

const place = { x: 1, y: 2, z: 0 };
const device = { id: 'a', kind: 'tag', status: 'stale', last_seen: null, location: null };

describe('shapes', () => {
  test.each<[sign: string, value: unknown, path: string | undefined]>([
    ['', 'text', undefined],
    ['', 'Infinity', undefined],
    ['', 3, ''],
    ['', null, ''],
    ['', undefined, ''],
    ['#', 3.5, undefined],
    ['#', '3', ''],
    ['#', Number.NaN, ''],
    ['#', Infinity, ''],
    ['!', false, undefined],
    ['!', 0, ''],
    ['*', null, undefined],
    ['*', false, undefined],
    ['*', undefined, ''],
    ['@', null, undefined],
    ['@', 'text', undefined],
    ['@', undefined, ''],
    ['=a|b', 'b', undefined],
    ['=a|b', 'c', ''],
    ['=a|b', 'a|b', ''],
    ['[#', [], undefined],
    ['[#', [1, 2, 'x'], '[2]'],
    ['[#', { 0: 1 }, ''],
    ['[#', null, ''],
    ['%#', { a: 1 }, undefined],
    ['%#', { a: 1, b: null }, '.b'],
    ['%#', [1], ''],
    ['//#', 4, undefined],
    ['//#', 'text', undefined],
    ['//#', true, ''],
    ['[[#', [[1], ['x']], '[1][0]'],
    ['[@#', [1, null], undefined],
  ])('the sign %s takes %o: %s', (sign, value, path) => {
    expect(faultOf(sign, value)?.path).toBe(path);
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

  test('a field that may be absent may be null, one that may not is missed', () => {
    expect(check('join_room', { room: 'r' })).toBeUndefined();
    expect(check('join_room', { room: 'r', since: undefined })).toBeUndefined();
    expect(check('join_room', { room: 'r', since: null })).toBeUndefined();
    expect(check('join_room', { room: 'r', since: { epoch: 'e' } })?.details).toEqual({
      type: 'join_room',
      path: 'since.seq',
      expected: 'number',
    });
    expect(check('join_room', {})?.message).toBe('join_room: room is not a valid string');
  });

  const types = shapes.split('\n').flatMap((line) => line.split(' ')[0]!.split(','));

  test('every shape refuses what is no object, and is made of signs and fields', () => {
    expect(types.length).toBeGreaterThan(60);
    for (const type of types.filter(Boolean)) {
      expect(faultOf(type, 'text'), type).toBeDefined();
      expect(faultOf(type, []), type).toBeDefined();
      for (const word of shapeOf(type)!)
        expect(word, type).toMatch(/^(\?|[a-z]\w*|'|[[%@]*(#|!|\*|=[\w|]+|[A-Z]*)|(\/[A-Z]+)+)$/);
    }
  });

  test('whatever comes, a shape says fine or fault and never throws', () => {
    const random = seeded(7);
    const value = (depth: number): unknown => {
      const pick = Math.floor(random() * (depth > 3 ? 6 : 8));
      if (pick === 6) return Array.from({ length: 3 }, () => value(depth + 1));
      const names = [
        'device_id',
        'location',
        'x',
        'devices',
        'positions',
        'status',
        'refs',
        '__proto__',
        'constructor',
      ];
      if (pick === 7) return Object.fromEntries(names.map((name) => [name, value(depth + 1)]));
      return [null, 'text', 3, true, NaN, undefined][pick];
    };
    for (let round = 0; round < 2_000; round++) {
      const type = types[Math.floor(random() * types.length)]!;
      const error = check(type, value(0));
      if (error) expect(error).toMatchObject({ code: 'invalid_payload', details: { type } });
    }
  });
});
