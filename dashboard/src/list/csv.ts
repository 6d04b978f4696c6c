import type { Device } from '@anita/client';

import { zoneAt } from '../map/zones';
import type { Zone } from '../session';

/** The devices as a table for other programs: RFC 4180, in UTF-8, with numbers as programs write them. */

const HEAD = [
  'id',
  'name',
  'kind',
  'status',
  'last_seen',
  'x_m',
  'y_m',
  'z_m',
  'floor',
  'zone',
  'accuracy_m',
  'battery_percent',
  'source',
];

type Cell = string | number | null | undefined;

/**
 * A field, quoted where it has to be. Spreadsheets take a text that begins like this as a formula, and names come from
 * whoever registered the device: an apostrophe before it keeps it a text. Numbers are ours and stay numbers.
 */
export function field(cell: Cell): string {
  if (cell === null || cell === undefined) return '';
  if (typeof cell === 'number') return Number.isFinite(cell) ? String(cell) : '';
  const text = /^\s*[=+\-@\t\r|%]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function toCsv(devices: Iterable<Device>, zones: readonly Zone[]): string {
  const lines = [HEAD.join(',')];
  for (const device of devices) {
    const { id, name, kind, status, last_seen: seen, location: at, floor, accuracy, battery, source } = device;
    const zone = at === null ? undefined : zoneAt(at.x, at.y, zones)?.name;
    const cells: Cell[] = [id, name, kind, status, seen, at?.x, at?.y, at?.z, floor, zone, accuracy, battery, source];
    lines.push(cells.map(field).join(','));
  }
  return lines.join('\r\n') + '\r\n';
}

/** `devices-2026-11-22T07-05-09Z.csv`. */
export const fileName = (now: number): string =>
  `devices-${new Date(now).toISOString().slice(0, 19).replaceAll(':', '-')}Z.csv`;
