import type { Range } from './replay';
import { SPEEDS, type Speed } from './replay';
import { RANGE_MS_MAX, RANGE_MS_MIN } from './plan';

/** What the page adds to the address: a link shows another person the same moment of the same past. */

export interface PastAddress {
  readonly range: Range | null;
  readonly instant: number | null;
  readonly speed: Speed;
  readonly isLooping: boolean;
  /** The devices that are shown; `null` for all. */
  readonly devices: readonly string[] | null;
}

const OURS = ['from', 'to', 't', 'speed', 'loop', 'of'] as const;
/** An address with more devices would be longer than people and servers take. */
export const ADDRESS_DEVICES_MAX = 100;
const LONGEST_ID = 256;

export function readPast(fragment: string): PastAddress {
  const words = new URLSearchParams(fragment.replace(/^#/, ''));
  const start = moment(words.get('from'));
  const end = moment(words.get('to'));
  const isRange = start !== null && end !== null && end - start >= RANGE_MS_MIN && end - start <= RANGE_MS_MAX;
  const range = isRange ? { start, end } : null;
  const instant = moment(words.get('t'));
  const devices = words.getAll('of').filter((id) => id !== '' && id.length <= LONGEST_ID);
  return {
    range,
    instant: range === null || instant === null || instant < range.start || instant > range.end ? null : instant,
    speed: SPEEDS.find((speed) => String(speed) === words.get('speed')) ?? 1,
    isLooping: words.get('loop') === '1',
    devices: devices.length === 0 ? null : devices.slice(0, ADDRESS_DEVICES_MAX),
  };
}

/** The fragment with these words; those of others stay. */
export function writePast(fragment: string, past: PastAddress | null): string {
  const words = new URLSearchParams(fragment.replace(/^#/, ''));
  for (const name of OURS) words.delete(name);
  if (past !== null) {
    if (past.range !== null) {
      words.set('from', iso(past.range.start));
      words.set('to', iso(past.range.end));
      if (past.instant !== null) words.set('t', iso(past.instant));
    }
    if (past.speed !== 1) words.set('speed', String(past.speed));
    if (past.isLooping) words.set('loop', '1');
    if (past.devices !== null && past.devices.length <= ADDRESS_DEVICES_MAX) {
      for (const id of past.devices) words.append('of', id);
    }
  }
  return words.toString().replaceAll('%2C', ',').replaceAll('%3A', ':').replaceAll('%2F', '/');
}

function moment(text: string | null): number | null {
  if (text === null || !/^\d{4}-\d\d-\d\dT/.test(text)) return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time;
}

/** To the millisecond, without the ones of a whole second. */
const iso = (time: number): string => new Date(Math.round(time)).toISOString().replace('.000Z', 'Z');
