import type { Device } from '@anita/client';

/** The floors that devices are on, lowest first. */
export function floorsOf(devices: Iterable<Device>): number[] {
  const floors = new Set<number>();
  for (const { floor } of devices) if (floor !== undefined) floors.add(floor);
  return [...floors].sort((a, b) => a - b);
}

/** Whether a device is on the chosen floor. One that tells no floor may be on any, and `null` is all floors. */
export function isOnFloor(device: Device, chosen: number | null): boolean {
  return chosen === null || device.floor === undefined || device.floor === chosen;
}

/** The choice after key `index` (0 for the first floor): the floor, or all when it was chosen already. */
export function floorAfter(floors: readonly number[], chosen: number | null, index: number): number | null {
  const wanted = floors[index];
  if (wanted === undefined) return chosen;
  return wanted === chosen ? null : wanted;
}
