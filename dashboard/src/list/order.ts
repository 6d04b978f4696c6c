import type { Device } from '@anita/client';

/** What the list shows, and in which order. Pure: the same devices and choices give the same rows. */

export type StatusFilter = 'all' | Device['status'];
export type SortKey = 'name' | 'status' | 'seen' | 'battery';

export interface Choice {
  readonly search: string;
  readonly status: StatusFilter;
  readonly sort: SortKey;
  readonly descending: boolean;
}

const KIND_RANK: Record<string, number> = { tag: 0, gateway: 1, anchor: 2 };
const STATUS_RANK: Record<string, number> = { disconnected: 0, stale: 1, connected: 2 };
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

export const labelOf = (device: Device): string =>
  device.name === undefined || device.name === '' ? device.id : device.name;

export function wantedBy(device: Device, choice: Pick<Choice, 'search' | 'status'>): boolean {
  if (choice.status !== 'all' && device.status !== choice.status) return false;
  const search = choice.search.trim().toLowerCase();
  return (
    search === '' || device.id.toLowerCase().includes(search) || device.name?.toLowerCase().includes(search) === true
  );
}

const byLabel = (a: Device, b: Device): number => collator.compare(labelOf(a), labelOf(b)) || text(a.id, b.id);

/** What moves comes before what hangs on the wall. */
const byKind = (a: Device, b: Device): number => (KIND_RANK[a.kind] ?? 3) - (KIND_RANK[b.kind] ?? 3);

const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Times are RFC 3339 in UTC with the same number of digits, so their text sorts as they do. */
const COMPARE: Record<SortKey, (a: Device, b: Device) => number> = {
  name: byLabel,
  status: (a, b) => (STATUS_RANK[a.status] ?? 3) - (STATUS_RANK[b.status] ?? 3),
  seen: (a, b) => text(b.last_seen ?? '', a.last_seen ?? ''),
  battery: (a, b) => (a.battery ?? 101) - (b.battery ?? 101),
};

/** Equal ones are always ordered by kind and name, so that rows do not jump. */
export function compareBy(key: SortKey, descending: boolean): (a: Device, b: Device) => number {
  const compare = COMPARE[key];
  const sign = descending ? -1 : 1;
  return (a, b) => (key === 'name' ? byKind(a, b) : 0) || sign * compare(a, b) || byKind(a, b) || byLabel(a, b);
}

export function arrange(devices: Iterable<Device>, choice: Choice): Device[] {
  const rows: Device[] = [];
  for (const device of devices) if (wantedBy(device, choice)) rows.push(device);
  return rows.sort(compareBy(choice.sort, choice.descending));
}

export function countByStatus(devices: Iterable<Device>): Record<Device['status'], number> {
  const counts: Record<Device['status'], number> = { connected: 0, stale: 0, disconnected: 0 };
  for (const device of devices) counts[device.status] += 1;
  return counts;
}
