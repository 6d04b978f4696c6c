import { describe, expect, it } from 'vitest';

import { findJsonFault } from '../src/composer/json';

describe('the place where a text stops being JSON', () => {
  it.each([
    ['', 0, 'value'],
    ['{', 1, 'field'],
    ['{"a"', 4, 'colon'],
    ['{"a":', 5, 'value'],
    ['{"a":1', 6, 'commaBrace'],
    ['{"a":1,}', 7, 'fieldName'],
    ['{a:1}', 1, 'field'],
    ['[1,]', 3, 'value'],
    ['[1 2]', 3, 'commaBracket'],
    ['{"kinds": [}', 11, 'value'],
    ['{"a":"x}', 5, 'quote'],
    ['{"a":tru}', 5, 'value'],
    ['{} {}', 3, 'end'],
    ['01', 1, 'end'],
    ["{'a':1}", 1, 'field'],
  ])('of %j is %d, where there should be %s', (text, at, expected) => {
    expect(findJsonFault(text)).toEqual({ at, expected });
    expect(() => void JSON.parse(text)).toThrow();
  });

  it.each(['{}', '[]', ' {"a" : [1, -2.5e3, "x\\n\\u00e4", true, null, {"b": {}}] } ', '"x"', '0', 'null'])(
    'of %s is nowhere',
    (text) => {
      expect(findJsonFault(text)).toBeUndefined();
      expect(() => void JSON.parse(text)).not.toThrow();
    },
  );
});
