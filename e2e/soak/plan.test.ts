import { describe, expect, it } from 'vitest';

import { course, line, median, plan } from './plan.ts';

describe('what is flat', () => {
  const strict = { share: 0.1, more: 1 };

  it('is judged by the medians of the first and of the last quarter', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(course('heap', [10, 10, 99, 99, 99, 99, 10, 12], strict)).toMatchObject({ first: 10, last: 11, most: 99 });
  });

  it.each([
    ['the same', [10, 10, 10, 10], true],
    ['within the bound', [10, 10, 10, 12], true],
    ['one too many', [10, 10, 10, 12.1], false],
    ['less than before', [10, 10, 10, 1], true],
    ['a leak of one a kill', Array.from({ length: 50 }, (_, kill) => 40 + kill), false],
    ['a peak in the middle', [10, 10, 500, 500, 500, 500, 10, 10], true],
  ])('%s', (_, samples, isFlat) => {
    expect(course('figure', samples, strict).isFlat).toBe(isFlat);
  });

  it('is said in a line', () => {
    const leak = course('heap, MB', [10, 10, 10, 20.456], strict);
    expect(line(leak)).toBe('soak: heap, MB: 10 at first, 20.46 at last (12 allowed), 20.46 at most: NOT FLAT');
  });

  it('needs four samples', () => {
    expect(() => course('heap', [1, 2, 3], strict)).toThrow('heap: 3 samples have no quarters');
  });

  it('takes as long as it is told, with five kills a minute', () => {
    expect(plan(10)).toEqual({ minutes: 10, kills: 50 });
    expect(plan(0.5)).toEqual({ minutes: 0.5, kills: 4 });
    expect(() => plan(NaN)).toThrow('ANITA_SOAK_MINUTES');
  });
});
