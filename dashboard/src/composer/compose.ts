import { findJsonFault, placesIn } from './json';
import type { Schema } from './schema';
import { findWrong, kindOf, type Wrong } from './validate';
import { t } from './words';

/** What the server can be asked by hand, with a payload to begin from. Pure, and checked by the tests. */

export const TEMPLATES: Readonly<Record<string, unknown>> = {
  get_active_devices: {},
  get_device_location: { device_id: 'tag-01' },
  get_location_history: { device_id: 'tag-01', limit: 10 },
  start_position_tracking: { device_ids: ['tag-01'], update_frequency: 0.5 },
  stop_position_tracking: {},
  register_device: { device_id: 'tag-99', initial_location: { x: 1, y: 2, z: 1 } },
  update_device: { device_id: 'tag-99', name: 'Forklift 9' },
  remove_device: { device_id: 'tag-99' },
  report_location: { device_id: 'tag-99', location: { x: 1, y: 2, z: 1 } },
  join_room: { room: 'uwb' },
  leave_room: { room: 'uwb' },
  get_room_members: { room: 'uwb' },
  send_to_room: { room: 'uwb', name: 'note', data: { text: 'hello' } },
  subscribe: {
    view: { area: { box: { min_x: 0, min_y: 0, max_x: 20, max_y: 15 } }, kinds: ['tag'] },
    max_rate_hz: 2,
    mode: 'batch',
  },
  update_subscription: { subscription: 's1', max_rate_hz: 0.5 },
  unsubscribe: { subscription: 's1' },
  play_history: { start_time: '2026-01-31T08:00:00Z', end_time: '2026-01-31T09:00:00Z', speed: 10 },
  update_playback: { speed: 2 },
  stop_playback: {},
  get_connection_stats: {},
  ping: {},
  authenticate: { token: '' },
};

/** The payload to begin with, with the selected device in it. */
export function template(type: string, selected: string | null): string {
  const known = TEMPLATES[type] ?? {};
  const text = JSON.stringify(known, null, 2);
  return selected === null ? text : text.replaceAll('"tag-01"', JSON.stringify(selected));
}

export type Checked =
  | { readonly payload: Record<string, unknown> }
  /** What is wrong, and from where to where. */
  | { readonly problem: string; readonly at?: readonly [from: number, to: number] };

/** Looks whether the text is a JSON object of the shape; says in words what is wrong, and where. */
export function checkPayload(text: string, schema?: Schema): Checked {
  const body = text.trim() === '' ? '{}' : text;
  const fault = findJsonFault(body);
  if (fault !== undefined) {
    const expected = t(`json.${fault.expected}`);
    return { problem: t('check.notJson', { ...place(body, fault.at), expected }), at: [fault.at, fault.at + 1] };
  }
  const value: unknown = JSON.parse(body);
  const found = kindOf(value);
  if (found !== 'object') return { problem: t('check.notObject', { example: '{"device_id": "tag-01"}', found }) };
  const wrong = schema === undefined ? undefined : findWrong(schema, value);
  if (wrong === undefined) return { payload: value as Record<string, unknown> };
  const { from, to } = placesIn(body).get(JSON.stringify(wrong.path)) ?? { from: 0, to: 1 };
  const where = { ...place(body, from), what: say(wrong) };
  const path = pathText(wrong.path);
  return { problem: path === '' ? t('check.placeTop', where) : t('check.place', { ...where, path }), at: [from, to] };
}

/** `view.area.polygon[2]`, as the server writes it in `details.path`. */
export const pathText = (path: Wrong['path']): string =>
  path
    .map((step, index) => (typeof step === 'number' ? `[${String(step)}]` : index === 0 ? step : `.${step}`))
    .join('');

function say({ what }: Wrong): string {
  switch (what.is) {
    case 'missing':
      return t('check.missing', { field: what.field });
    case 'unknown':
      if (what.known.length === 0) return t('check.unknownNone', { field: what.field });
      return t('check.unknown', { field: what.field, known: what.known.join(', ') });
    case 'type':
      return t('check.wrongType', { expected: what.expected, found: what.found });
    case 'word':
      return t('check.word', { allowed: what.allowed.join(', ') });
    case 'range':
      return t('check.range', { least: what.least ?? '−∞', most: what.most ?? '∞' });
    case 'length':
      return t('check.length', { least: what.least ?? 0, most: what.most ?? t('json.any') });
  }
}

/** What keeps a text from being a type; with the server's own types, those that are none of them as well. */
export function checkType(type: string, known: readonly string[] = []): string | undefined {
  const name = type.trim();
  if (name === '') return t('check.noType');
  if (!/^[a-z][a-z0-9_.-]{0,63}$/.test(name)) return t('check.badType');
  // Applications have types of their own, with a point, that no list has.
  if (known.length === 0 || known.includes(name) || name.includes('.')) return undefined;
  // What is like none of them is meant: the server says what it thinks of it.
  const near = nearest(name, known);
  return near === undefined ? undefined : t('check.unknownType', { type: name, near });
}

/** The known name with the most letters in common, from either end; nothing where that is less than most of them. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const score = (other: string): number => {
    const least = Math.min(name.length, other.length);
    let [head, tail] = [0, 0];
    while (head < least && name[head] === other[head]) head += 1;
    while (tail < least && name.at(-1 - tail) === other.at(-1 - tail)) tail += 1;
    return head + tail;
  };
  const best = known.reduce((one, other) => (score(other) > score(one) ? other : one));
  return score(best) > name.length * 0.6 ? best : undefined;
}

function place(text: string, at: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, at).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
