import { beforeEach, describe, expect, it } from 'vitest';

import { testFix, testId } from '../src/pages/connect/testfix';
import { addressed, configured, urlOf, WAYS } from '../src/pages/connect/ways';
import { firstOf } from '../src/pages/pages';
import { Pulse, PULSE_SECONDS } from '../src/shell/pulse';
import { NAME_MAX, removeView, renameView, savedViews, saveView, VIEWS_MAX } from '../src/shell/saved';

describe('saved views', () => {
  beforeEach(() => {
    savedViews.value = [];
  });
  const names = (): readonly string[] => savedViews.value.map(({ name }) => name);

  it('have a name of their own; the same name takes its place', () => {
    expect([saveView(' Dock  1 ', '#at=1,2,3'), saveView('Hall', ''), saveView('Dock 1', '#at=4,5,6')]).toEqual([
      true,
      true,
      true,
    ]);
    expect(savedViews.value).toEqual([
      { name: 'Dock 1', fragment: 'at=4%2C5%2C6' },
      { name: 'Hall', fragment: '' },
    ]);
  });

  it('are bounded, in number and length', () => {
    for (let index = 0; index < VIEWS_MAX; index += 1) expect(saveView(`v${String(index)}`, '')).toBe(true);
    expect(saveView('one more', '')).toBe(false);
    expect(saveView('v3', '#floor=1')).toBe(true);
    expect(names()).toHaveLength(VIEWS_MAX);
    savedViews.value = [];
    expect([saveView('', ''), saveView('  ', ''), saveView('long', 'q='.padEnd(3_000, 'x'))]).toEqual([
      false,
      false,
      false,
    ]);
    saveView('x'.repeat(200), '');
    expect(names()[0]).toHaveLength(NAME_MAX);
  });

  it('never hold a token', () => {
    saveView('a', '#token=eyJx.eyJy.z&floor=2');
    expect(savedViews.value[0]?.fragment).toBe('floor=2');
  });

  it('can be renamed, but not to a name that is taken, and removed', () => {
    saveView('a', '');
    saveView('b', '');
    const [a] = savedViews.value;
    if (a === undefined) throw new Error('there is a view');
    expect(renameView(a, 'b')).toBe(false);
    expect(renameView(a, ' ')).toBe(false);
    expect(renameView(a, 'c')).toBe(true);
    expect(names()).toEqual(['c', 'b']);
    const [c] = savedViews.value;
    if (c !== undefined) removeView(c);
    expect(names()).toEqual(['b']);
  });
});

describe('the pulse of the link', () => {
  it('is what came more since the second before', () => {
    const pulse = new Pulse();
    pulse.sample({ received: 100, ageMs: null, dropped: null });
    pulse.sample({ received: 112, ageMs: 5, dropped: 40 });
    pulse.sample({ received: 120, ageMs: 6, dropped: 43 });
    pulse.sample({ received: 121, ageMs: null, dropped: null });
    pulse.sample({ received: 3, ageMs: 7, dropped: 45 });
    expect([...pulse.beats]).toEqual([
      { rate: 12, ageMs: 5, dropped: 0 },
      { rate: 8, ageMs: 6, dropped: 3 },
      { rate: 1, ageMs: null, dropped: 0 },
      { rate: 3, ageMs: 7, dropped: 2 },
    ]);
  });

  it('is two minutes long', () => {
    const pulse = new Pulse();
    for (let index = 0; index < 500; index += 1) pulse.sample({ received: index, ageMs: null, dropped: null });
    expect(pulse.beats.size).toBe(PULSE_SECONDS);
  });
});

describe('what is copied to connect something', () => {
  const { text } = WAYS.drtls;

  it('has the name and address that were filled in, as TOML writes them', () => {
    const filled = configured(text, { name: ' the "hall" ', url: 'mqtts://b$&:8883' });
    expect(filled).toContain('name = "the \\"hall\\""\n');
    expect(filled).toContain('url = "mqtts://b$&:8883"');
    expect(configured(text, { name: '', url: ' ' })).toBe(text);
    expect(urlOf(text)).toBe('mqtt://192.168.1.10:1883');
  });

  it('goes to this server', () => {
    const base = new URL('https://hall.example/anita/');
    expect(addressed(WAYS.http.text, base)).toContain('https://hall.example/anita/api/v1/locations');
    for (const { text: program } of [WAYS.javascript, WAYS.python, WAYS.rust]) {
      expect(addressed(program, base)).toContain('wss://hall.example/anita/ws');
    }
  });
});

describe('the test fix', () => {
  it('is in the middle of the site, and then a metre from there', () => {
    const bounds = { minX: 0, minY: -10, maxX: 40, maxY: 10 };
    expect(testFix('t', 0, bounds).location).toEqual({ x: 20, y: 0, z: 1 });
    const { x, y } = testFix('t', 1, bounds).location;
    expect(Math.hypot(x - 20, y)).toBeCloseTo(1, 3);
    expect(testFix('t', 0, undefined).location).toEqual({ x: 0, y: 0, z: 1 });
    expect([testId(0), testId(0.99999)]).toEqual(['test-0000', 'test-ffff']);
  });
});

describe('the page that shows how to connect', () => {
  it('is for those who may do something about it', () => {
    expect(firstOf('connect', ['devices.read', 'history.read', 'rooms.join'])).toBeUndefined();
    for (const one of ['locations.report', 'devices.write', 'sources.read'])
      expect(firstOf('connect', [one])).toBe('connect');
  });
});
