import { describe, expect, it } from 'vitest';

import { findJsonFault } from '../src/composer/json';

describe('the place where a text stops being JSON', () => {
  it.each([
    ['', 0, 'a value'],
    ['{', 1, 'a field or “}”'],
    ['{"a"', 4, '“:”'],
    ['{"a":', 5, 'a value'],
    ['{"a":1', 6, '“,” or “}”'],
    ['{"a":1,}', 7, 'a field name in double quotes'],
    ['{a:1}', 1, 'a field or “}”'],
    ['[1,]', 3, 'a value'],
    ['[1 2]', 3, '“,” or “]”'],
    ['{"kinds": [}', 11, 'a value'],
    ['{"a":"x}', 5, 'a closing double quote'],
    ['{"a":tru}', 5, 'a value'],
    ['{} {}', 3, 'the end'],
    ['01', 1, 'the end'],
    ["{'a':1}", 1, 'a field or “}”'],
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
