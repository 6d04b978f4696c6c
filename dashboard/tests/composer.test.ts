import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { choicesAt, spotAt } from '../src/composer/complete';
import { checkPayload, checkType, TEMPLATES } from '../src/composer/compose';
import { placesIn } from '../src/composer/json';
import type { Schema } from '../src/composer/schema';
import { SENT_MAX, SentMessages } from '../src/composer/sent';

/** The shapes of the protocol itself, as the server publishes them. */
const { $defs } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../schema/anita.v1.schema.json'), 'utf8'),
) as Required<Schema>;
const shape = (type: string): Schema => ({ ...$defs[type]?.properties?.['payload'], $defs });
const types = ($defs['ClientMessage']?.oneOf ?? []).map(({ $ref = '' }) => $ref.replace('#/$defs/', ''));

/** The names that are offered where `|` stands. */
function offered(type: string, text: string): readonly string[] {
  const spot = spotAt(text.replace('|', ''), text.indexOf('|'));
  return spot === undefined ? [] : choicesAt(shape(type), spot).map(({ name }) => name);
}

describe('completion', () => {
  it.each([
    ['subscribe', '{"|', ['fields', 'lane', 'max_rate_hz', 'min_move_m', 'mode', 'since', 'snapshot', 'unit', 'view']],
    ['subscribe', '{"vi|', ['view']],
    ['subscribe', '{"view": {"|', ['area', 'devices', 'floors', 'kinds', 'site', 'status']],
    ['subscribe', '{"view": {"area": {"|', ['box', 'circle', 'polygon']],
    ['subscribe', '{"view": {"area": {"box": {"|', ['max_x', 'max_y', 'min_x', 'min_y']],
    ['subscribe', '{"mode": "|', ['batch', 'single', 'columns']],
    ['subscribe', '{"mode": |', ['batch', 'single', 'columns']],
    ['subscribe', '{"snapshot": |', ['true', 'false']],
    ['subscribe', '{"view": {"kinds": ["ta|"]}}', ['tag']],
    ['subscribe', '{"view": {"kinds": ["tag", "|', ['tag', 'anchor', 'gateway']],
    ['register_device', '{|', ['device_id', 'floor', 'initial_location', 'kind', 'name', 'site']],
    ['register_device', '{"device_id": "a", "|": 1, "kind": "tag"}', ['floor', 'initial_location', 'name', 'site']],
    ['report_location', '{"locations": [{"device_id": "a"}, {"|', ['device_id', 'location', 'accuracy']],
    ['ping', '{"|', []],
    ['register_device', '|', []],
    ['register_device', '{}|', []],
    ['register_device', '{"device_id"| ', []],
  ])('in %s at %s offers %j', (type, text, expected) => {
    const names = offered(type, text);
    expect(names.slice(0, expected.length)).toEqual(expected);
    if (expected.length === 0) expect(names).toEqual([]);
  });

  it('tells the type, what is required, and what it means', () => {
    const spot = spotAt('{"devi', 6);
    const [choice] = spot === undefined ? [] : choicesAt(shape('register_device'), spot);
    expect(choice).toMatchObject({ text: '"device_id": ', type: 'string', isRequired: true });
    expect(choice?.description).toMatch(/\w/);
  });

  it('replaces the token that is being written, and nothing else', () => {
    const text = '{"mode": "sin", "lane": "every"}';
    expect(spotAt(text, 12)).toMatchObject({ wants: 'value', path: ['mode'], from: 9, to: 14, typed: 'si' });
  });
});

describe('a payload', () => {
  it.each(types.filter((type) => type in TEMPLATES))('of the example of %s has its shape', (type) => {
    expect(checkPayload(JSON.stringify(TEMPLATES[type], null, 2), shape(type))).toHaveProperty('payload');
  });

  it('has an example for each request', () => {
    expect(types.filter((type) => !(type in TEMPLATES))).toEqual([]);
  });

  it.each([
    ['register_device', '{}', 'Line 1, column 1: the field device_id is missing.'],
    ['register_device', '{\n  "device_id": 7\n}', 'Line 2, column 16, device_id: should be string, not number.'],
    ['register_device', '{"device_id":"a","kind":"tagg"}', 'should be one of tag, anchor, gateway.'],
    [
      'register_device',
      '{"device_id":"a","initial_location":{"x":1,"y":2}}',
      'initial_location: the field z is missing.',
    ],
    ['get_active_devices', '{"limits": 3}', 'limits: there is no field limits here; there is '],
    ['subscribe', '{"view":{"area":{"box":{"min_x":0}}}}', 'view.area.box: the field'],
    ['subscribe', '{"view":{"kinds":["tag","x"]}}', 'view.kinds[1]: should be one of tag, anchor, gateway.'],
    ['subscribe', '{"view":{"area":{"polygon":[[0,0],[1]]}}}', 'view.area.polygon[1]: should have 2 to 2 items.'],
    [
      'report_location',
      '{"locations":[{"device_id":"a","location":{"x":1,"y":"2","z":0}}]}',
      'locations[0].location.y:',
    ],
    ['ping', '{"a":1}', 'this payload has none'],
  ])('of %s that is %s is wrong, and where', (type, text, problem) => {
    const checked = checkPayload(text, shape(type));
    expect(checked).toMatchObject({ problem: expect.stringContaining(problem) as string });
  });

  it('says the place by the characters that are wrong', () => {
    const text = '{"device_id":"a","kind":"tagg"}';
    const checked = checkPayload(text, shape('register_device'));
    expect('at' in checked && text.slice(...(checked.at ?? []))).toBe('"tagg"');
  });

  it('may have null where a field may be absent', () => {
    expect(checkPayload('{"device_id":"a","name":null}', shape('register_device'))).toHaveProperty('payload');
  });
});

describe('a type', () => {
  it('that the server does not have is told, with the nearest', () => {
    expect(checkType('get_active_device', types)).toContain('get_active_devices');
    expect(checkType('acme.open_door', types)).toBeUndefined();
    expect(checkType('ping', types)).toBeUndefined();
    // Like none of them: the server is asked what it thinks of it.
    expect(checkType('no_such_thing', types)).toBeUndefined();
  });
});

describe('the places of a text', () => {
  it('are those of its values', () => {
    const text = '{ "a" : [1, {"b": "x,}"}], "c": null }';
    const places = placesIn(text);
    const at = (...path: (string | number)[]): string => {
      const { from, to } = places.get(JSON.stringify(path)) ?? { from: 0, to: 0 };
      return text.slice(from, to);
    };
    expect([at('a'), at('a', 0), at('a', 1, 'b'), at('c')]).toEqual(['[1, {"b": "x,}"}]', '1', '"x,}"', 'null']);
  });
});

describe('what was sent', () => {
  const begun = { type: 'ping', payload: '{' };

  it('comes back, the newest first, and what was begun last', () => {
    const sent = new SentMessages();
    for (const type of ['a', 'b', 'b']) sent.add({ type, payload: '{}' });
    expect(sent.older(begun)?.type).toBe('b');
    expect(sent.older(begun)?.type).toBe('a');
    expect(sent.older(begun)).toBeUndefined();
    expect(sent.newer()?.type).toBe('b');
    expect(sent.newer()).toEqual(begun);
    expect(sent.newer()).toBeUndefined();
  });

  it('is bounded, and never a token', () => {
    const sent = new SentMessages();
    sent.add({ type: 'authenticate', payload: '{"token":"x"}' });
    expect(sent.older(begun)).toBeUndefined();
    for (let index = 0; index < SENT_MAX + 9; index += 1) sent.add({ type: `t${String(index)}`, payload: '{}' });
    let oldest = '';
    for (let one = sent.older(begun); one !== undefined; one = sent.older(begun)) oldest = one.type;
    expect(oldest).toBe('t9');
  });
});
