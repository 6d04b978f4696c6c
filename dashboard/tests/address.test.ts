import { describe, expect, it } from 'vitest';

import { EVERY_DEVICE } from '../src/list/filters';
import { FRESH, isStep, readAddress, saysSomething, writeAddress, type Shown } from '../src/shell/address';

const full: Shown = {
  page: 'live',
  look: { x: -12.345, y: 6.7, scale: 21.98765 },
  floor: -1,
  selected: 'tag/1:ü',
  follow: true,
  filters: { search: 'a & b', status: 'stale', kind: 'anchor', zone: 'Crane area', sort: 'battery', descending: true },
  trails: 0,
  names: false,
  anchors: false,
  accuracy: true,
  heat: true,
};

describe('the address', () => {
  it('of a fresh page is plain, and a plain one is a fresh page', () => {
    expect(writeAddress(FRESH)).toBe('');
    expect(readAddress('')).toEqual(FRESH);
    expect(readAddress('#')).toEqual(FRESH);
  });

  it('holds all that is shown', () => {
    const text = writeAddress(full);
    expect(readAddress(`#${text}`)).toEqual({ ...full, look: { x: -12.35, y: 6.7, scale: 21.99 } });
    expect(text).toContain('at=-12.35,6.7,21.99');
    expect(text).toContain('sort=-battery');
  });

  it.each([
    ['look', { x: 1, y: 2, scale: 3 }],
    ['floor', 0],
    ['selected', 'tag-1'],
    ['trails', 120],
    ['trails', 0],
    ['names', false],
    ['anchors', false],
    ['accuracy', true],
    ['heat', true],
    ['filters', { ...EVERY_DEVICE, zone: '' }],
    ['filters', { ...EVERY_DEVICE, descending: true }],
    ['filters', { ...EVERY_DEVICE, search: '100 % Öl' }],
  ] as const)('holds %s alone: %j', (name, value) => {
    const shown = { ...FRESH, [name]: value };
    expect(readAddress(writeAddress(shown))).toEqual(shown);
  });

  it('of nonsense is a fresh page', () => {
    for (const text of [
      'at=1,2',
      'at=1,2,0',
      'at=1,2,1e9',
      'at=1,2,3,4',
      'at=a,b,c',
      'at=Infinity,1,1',
      'floor=&device=',
      'floor=second',
      'status=on&kind=cat&sort=colour',
      'trails=7&show=all&hide=everything',
      'follow=1',
      'x=%E0%A4%A',
      'page=elsewhere',
    ]) {
      expect(readAddress(`#${text}`)).toEqual(FRESH);
    }
  });

  it('leaves the words of others alone', () => {
    const others = new URLSearchParams('story=1&device=old');
    expect(writeAddress({ ...FRESH, floor: 1 }, others)).toBe('story=1&floor=1');
    expect(writeAddress(FRESH, new URLSearchParams('story=1'))).toBe('story=1');
  });

  it('takes another floor or device for a step, but not walking through the list', () => {
    const at = { page: 'live', selected: 'a', floor: null } as const;
    expect(isStep(at, at, 9_000)).toBe(false);
    expect(isStep({ ...at, selected: null }, at, 0)).toBe(true);
    expect(isStep(at, { ...at, selected: null }, 0)).toBe(true);
    expect(isStep(at, { ...at, selected: 'b' }, 200)).toBe(false);
    expect(isStep(at, { ...at, selected: 'b' }, 2_000)).toBe(true);
    expect(isStep(at, { ...at, floor: 0 }, 0)).toBe(true);
  });

  it('says nothing of the view when it holds a token only', () => {
    expect(saysSomething('#token=abc')).toBe(false);
    expect(saysSomething('#token=abc&floor=1')).toBe(true);
  });
});
