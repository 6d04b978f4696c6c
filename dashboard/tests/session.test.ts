import { describe, expect, it } from 'vitest';

import { checkPayload, checkType, template } from '../src/composer/compose';
import { readSite, tidyToken } from '../src/session';

describe('a pasted token', () => {
  it.each([
    'abc.def.ghi',
    '  abc.def.ghi\n',
    'Bearer abc.def.ghi',
    'Authorization: bearer abc.def.ghi',
    '"abc.\n def.ghi"',
  ])('%j is the token alone', (pasted) => {
    expect(tidyToken(pasted)).toBe('abc.def.ghi');
  });
});

describe('the plan of the site', () => {
  it('is read with its bounds and zones', () => {
    const zone = [
      [0, 0],
      [5, 0],
      [5, 5],
    ];
    expect(
      readSite({
        name: 'Hall',
        bounds: { min_x: 0, min_y: -1, max_x: 40, max_y: 20 },
        zones: [{ name: 'Dock', polygon: zone }],
      }),
    ).toEqual({
      name: 'Hall',
      bounds: { minX: 0, minY: -1, maxX: 40, maxY: 20 },
      zones: [{ name: 'Dock', polygon: zone }],
    });
  });

  it('may be empty, and odd parts are left out', () => {
    expect(readSite({ name: '', zones: [] })).toEqual({ name: '', zones: [] });
    expect(readSite(null)).toEqual({ name: '', zones: [] });
    const odd = {
      name: 7,
      bounds: { min_x: 'a' },
      zones: [
        {},
        {
          name: 'line',
          polygon: [
            [0, 0],
            [1, 1],
            ['x', 1],
          ],
        },
      ],
    };
    expect(readSite(odd)).toEqual({ name: '', zones: [] });
  });
});

describe('a message by hand', () => {
  it('has an object as payload, or nothing', () => {
    expect(checkPayload('')).toEqual({ payload: {} });
    expect(checkPayload('{"a":[1]}')).toEqual({ payload: { a: [1] } });
  });

  it.each([
    ['[1]', 'array'],
    ['null', 'null'],
    ['3', 'number'],
    ['"x"', 'string'],
  ])('says that %s is %s', (text, what) => {
    expect(checkPayload(text)).toMatchObject({ problem: expect.stringContaining(`not ${what}`) as string });
  });

  it('says where the JSON is wrong', () => {
    const checked = checkPayload('{\n  "a": 1,\n}');
    expect(checked).toEqual({
      problem: 'This is not JSON: line 3, column 1 should be a field name in double quotes.',
      at: [12, 13],
    });
  });

  it('has a type that could be one', () => {
    expect(checkType('get_active_devices')).toBeUndefined();
    expect(checkType('acme.open_door')).toBeUndefined();
    expect(checkType(' ')).toContain('which type');
    expect(checkType('Open Door')).toContain('lower-case');
  });

  it('begins with a payload that fits, with the selected device in it', () => {
    expect(JSON.parse(template('get_device_location', 'x"1'))).toEqual({ device_id: 'x"1' });
    expect(JSON.parse(template('no.such', null))).toEqual({});
  });
});
