import type { Device } from '@anita/client';

import { isOnFloor } from '../map/floors';
import { zoneAt } from '../map/zones';
import type { Zone } from '../session';

/** What the list shows, and in which order. */

export const STATUSES = ['connected', 'stale', 'disconnected'] as const;
export const KINDS = ['tag', 'anchor', 'gateway'] as const;
export const SORT_KEYS = [
  'name',
  'status',
  'seen',
  'battery',
  'kind',
  'quality',
  'x',
  'y',
  'z',
  'floor',
  'zone',
] as const;

export type SortKey = (typeof SORT_KEYS)[number];

export interface Filters {
  readonly search: string;
  readonly status: 'all' | Device['status'];
  readonly kind: 'all' | Device['kind'];
  /** The name of a zone, `''` for outside of all, `null` for any place. */
  readonly zone: string | null;
  readonly sort: SortKey;
  readonly descending: boolean;
}

export const EVERY_DEVICE: Filters = {
  search: '',
  status: 'all',
  kind: 'all',
  zone: null,
  sort: 'name',
  descending: false,
};

/** Whether some device may be left out. */
export function isFiltered({ search, status, kind, zone }: Filters, floor: number | null): boolean {
  return search.trim() !== '' || status !== 'all' || kind !== 'all' || zone !== null || floor !== null;
}

/** What of the site and the map the list depends on. */
export interface Place {
  readonly zones: readonly Zone[];
  readonly floor: number | null;
}

/** The name of the zone a device is in; `''` for none, `undefined` while nobody knows where it is. */
export function zoneOf({ location: at }: Device, zones: readonly Zone[]): string | undefined {
  return at === null ? undefined : (zoneAt(at.x, at.y, zones)?.name ?? '');
}

export function isWanted(device: Device, filters: Filters, { zones, floor }: Place): boolean {
  const { status, kind, zone } = filters;
  if (status !== 'all' && device.status !== status) return false;
  if (kind !== 'all' && device.kind !== kind) return false;
  if (!isOnFloor(device, floor)) return false;
  const search = filters.search.trim().toLowerCase();
  if (
    search !== '' &&
    !device.id.toLowerCase().includes(search) &&
    device.name?.toLowerCase().includes(search) !== true
  ) {
    return false;
  }
  return zone === null || zoneOf(device, zones) === zone;
}
