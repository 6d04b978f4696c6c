import type { Zone } from '../session';

/** Whether a point is within a polygon, by the even-odd rule; the lower and left edges belong to it. */
export function isWithin(x: number, y: number, polygon: Zone['polygon']): boolean {
  let inside = false;
  let before = polygon.at(-1);
  for (const corner of polygon) {
    if (before !== undefined && corner[1] > y !== before[1] > y) {
      const crossing = corner[0] + ((y - corner[1]) / (before[1] - corner[1])) * (before[0] - corner[0]);
      if (x < crossing) inside = !inside;
    }
    before = corner;
  }
  return inside;
}

/** The first zone around a point. */
export function zoneAt(x: number, y: number, zones: readonly Zone[]): Zone | undefined {
  return zones.find(({ polygon }) => isWithin(x, y, polygon));
}
