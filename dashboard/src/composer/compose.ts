import { findJsonFault } from './json';

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
  { readonly payload: Record<string, unknown> } | { readonly problem: string; readonly at?: number };

/** Looks whether the text is a JSON object; says in words what is wrong, and where. */
export function checkPayload(text: string): Checked {
  if (text.trim() === '') return { payload: {} };
  const fault = findJsonFault(text);
  if (fault !== undefined) {
    return { problem: `This is not JSON: ${place(text, fault.at)} should be ${fault.expected}.`, at: fault.at };
  }
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const what = Array.isArray(value) ? 'a list' : value === null ? 'null' : `a ${typeof value}`;
    return { problem: `The payload must be an object like {"device_id": "tag-01"}, not ${what}.` };
  }
  return { payload: value as Record<string, unknown> };
}

export function checkType(type: string): string | undefined {
  if (type.trim() === '') return 'Say which type of message it is.';
  if (!/^[a-z][a-z0-9_.-]{0,63}$/.test(type.trim())) return 'A type is lower-case letters, digits, “_”, “.” or “-”.';
  return undefined;
}

function place(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `line ${String(before.length)}, column ${String((before.at(-1)?.length ?? 0) + 1)}`;
}
