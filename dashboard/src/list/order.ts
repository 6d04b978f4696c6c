import type { Device } from '@anita/client';

import { zoneOf, type Place, type SortKey } from './filters';

/** How rows of the list compare. */

const KIND_RANK: Record<string, number> = { tag: 0, gateway: 1, anchor: 2 };
const STATUS_RANK: Record<string, number> = { disconnected: 0, stale: 1, connected: 2 };
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

export const labelOf = (device: Device): string =>
  device.name === undefined || device.name === '' ? device.id : device.name;

/** By name as people count; slow. */
export const compareLabels = (a: Device, b: Device): number =>
  collator.compare(labelOf(a), labelOf(b)) || text(a.id, b.id);

/** What moves comes before what hangs on the wall. */
const byKind = (a: Device, b: Device): number => (KIND_RANK[a.kind] ?? 3) - (KIND_RANK[b.kind] ?? 3);

const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

type Compare = (a: Device, b: Device) => number;

/** The smallest first; what has none is last in both directions. */
function byNumber(read: (device: Device) => number | undefined, sign: number): Compare {
  return (a, b) => {
    const [one, other] = [read(a), read(b)];
    if (one === undefined || other === undefined) return Number(one === undefined) - Number(other === undefined);
    return sign * (one - other);
  };
}

/** Times are RFC 3339 in UTC with the same number of digits, so their text sorts as they do. */
function comparison(key: SortKey, sign: number, place: Place, byLabel: Compare): Compare {
  const flip = (compare: Compare): Compare => (sign === 1 ? compare : (a, b) => -compare(a, b));
  switch (key) {
    case 'name':
      return flip(byLabel);
    case 'kind':
      return flip(byKind);
    case 'status':
      return flip((a, b) => (STATUS_RANK[a.status] ?? 3) - (STATUS_RANK[b.status] ?? 3));
    case 'seen':
      return flip((a, b) => text(b.last_seen ?? '', a.last_seen ?? ''));
    case 'battery':
      return byNumber(({ battery }) => battery, sign);
    case 'quality':
      return byNumber(({ accuracy }) => accuracy, sign);
    case 'floor':
      return byNumber(({ floor }) => floor, sign);
    case 'x':
    case 'y':
    case 'z':
      return byNumber(({ location }) => location?.[key], sign);
    case 'zone': {
      // Each zone is found once, not once a comparison.
      const zones = new Map<Device, string>();
      const zone = (device: Device): string => {
        let name = zones.get(device);
        if (name === undefined) zones.set(device, (name = zoneOf(device, place.zones) ?? ''));
        return name;
      };
      return (a, b) => {
        const [one, other] = [zone(a), zone(b)];
        if (one === '' || other === '') return Number(one === '') - Number(other === '');
        return sign * collator.compare(one, other);
      };
    }
  }
}

/** Equal ones are always ordered by kind and label, so that rows do not jump. */
export function compareBy(key: SortKey, descending: boolean, place: Place, byLabel: Compare): Compare {
  const compare = comparison(key, descending ? -1 : 1, place, byLabel);
  return (a, b) => (key === 'name' ? byKind(a, b) : 0) || compare(a, b) || byKind(a, b) || byLabel(a, b);
}

export function countByStatus(devices: Iterable<Device>): Record<Device['status'], number> {
  const counts: Record<Device['status'], number> = { connected: 0, stale: 0, disconnected: 0 };
  for (const device of devices) counts[device.status] += 1;
  return counts;
}
