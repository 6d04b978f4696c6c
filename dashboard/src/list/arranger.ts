import type { Device } from '@anita/client';

import { isWanted, type Filters, type Place } from './filters';
import { compareBy, compareLabels } from './order';

/**
 * Arranges the rows again and again while positions come. To compare names as people do is slow, and names seldom
 * change: they are ranked once, and rows start from the order they had, for what is nearly sorted is sorted quickly.
 */
export class Arranger {
  /** The rank of each device by its label, and the label it was ranked with. */
  #ranks = new Map<string, { label: string; rank: number }>();
  #order: readonly string[] = [];

  arrange(devices: Iterable<Device>, filters: Filters, place: Place): Device[] {
    const wanted = new Map<string, Device>();
    const all: Device[] = [];
    let isNew = false;
    // Ranks of those that have gone do no harm until somebody new comes.
    for (const device of devices) {
      all.push(device);
      if (this.#ranks.get(device.id)?.label !== (device.name ?? '')) isNew = true;
      if (isWanted(device, filters, place)) wanted.set(device.id, device);
    }
    if (isNew) this.#rank(all);

    const rows: Device[] = [];
    for (const id of this.#order) {
      const device = wanted.get(id);
      if (device === undefined) continue;
      rows.push(device);
      wanted.delete(id);
    }
    for (const device of wanted.values()) rows.push(device);
    const ranks = this.#ranks;
    const byRank = (a: Device, b: Device): number => (ranks.get(a.id)?.rank ?? 0) - (ranks.get(b.id)?.rank ?? 0);
    rows.sort(compareBy(filters.sort, filters.descending, place, byRank));
    this.#order = rows.map(({ id }) => id);
    return rows;
  }

  #rank(devices: Device[]): void {
    this.#ranks = new Map(
      devices.sort(compareLabels).map(({ id, name = '' }, rank) => [id, { label: name, rank }] as const),
    );
  }
}
