import type { LocationsReported } from '@anita/client';

import type { Hub } from '../../hub';

/** A location of a made-up tag, sent over the page's own connection. */

export interface Fix {
  readonly device_id: string;
  readonly location: { readonly x: number; readonly y: number; readonly z: number };
}

interface Box {
  readonly minX: number;
  readonly minY: number;
  readonly maxX: number;
  readonly maxY: number;
}

/** A tag of its own for each page, so that two people who try at once don't move each other's. */
export function testId(random: number): string {
  return `test-${Math.floor(random * 0x1_0000)
    .toString(16)
    .padStart(4, '0')}`;
}

/** In the middle of the site, and with each turn on a circle of a metre around it. */
export function testFix(id: string, turn: number, bounds: Box | undefined): Fix {
  const middle = bounds ?? { minX: 0, minY: 0, maxX: 0, maxY: 0 };
  const angle = turn * (Math.PI / 3);
  const x = (middle.minX + middle.maxX) / 2 + (turn === 0 ? 0 : Math.cos(angle));
  const y = (middle.minY + middle.maxY) / 2 + (turn === 0 ? 0 : Math.sin(angle));
  const round = (value: number): number => Number(value.toFixed(3));
  return { device_id: id, location: { x: round(x), y: round(y), z: 1 } };
}

/** Reports it; what the server refuses becomes an error. */
export async function send(hub: Hub, fix: Fix): Promise<void> {
  const { refused } = (await hub.ask('report_location', fix)) as LocationsReported;
  const [first] = refused;
  if (first !== undefined) throw new Error(`${first.message} (${first.code})`);
}
