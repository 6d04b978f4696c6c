/** A made-up hall with people and forklifts that walk about: what the scripted server shows. */

export const SITE = {
  name: 'Demo hall',
  bounds: { min_x: 0, min_y: 0, max_x: 48, max_y: 28 },
  zones: [
    { name: 'Receiving', polygon: rectangle(1, 17, 13, 27) },
    { name: 'High rack', polygon: rectangle(15, 11, 33, 27) },
    { name: 'Assembly', polygon: rectangle(1, 1, 20, 9) },
    {
      name: 'Shipping',
      polygon: [
        [22, 1],
        [47, 1],
        [47, 13],
        [35, 13],
        [35, 9],
        [22, 9],
      ],
    },
    { name: 'Office', polygon: rectangle(36, 18, 47, 27) },
  ],
};

function rectangle(minX: number, minY: number, maxX: number, maxY: number): number[][] {
  return [
    [minX, minY],
    [maxX, minY],
    [maxX, maxY],
    [minX, maxY],
  ];
}

const NAMES = ['Anna', 'Bruno', 'Carla', 'Deniz', 'Elif', 'Farid', 'Greta', 'Hugo', 'Inês', 'Jonas', 'Kaja', 'Luca'];

/** Numbers that look random and are the same in every run. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export interface MockDevice {
  readonly id: string;
  name?: string;
  kind: 'tag' | 'anchor' | 'gateway';
  status: 'connected' | 'stale' | 'disconnected';
  last_seen: string | null;
  location: { x: number; y: number; z: number } | null;
  accuracy?: number;
  battery?: number;
  readonly floor?: number;
  source?: string;
  timestamp?: string;
  received_at?: string;
}

interface Walker {
  readonly device: MockDevice;
  readonly speed: number;
  x: number;
  y: number;
  toX: number;
  toY: number;
  heading: number;
}

/** RFC 3339 with six digits. */
export const stamp = (at = Date.now()): string => new Date(at).toISOString().replace('Z', '000Z');

const millimetre = (value: number): number => Math.round(value * 1_000) / 1_000;

export class Hall {
  readonly devices = new Map<string, MockDevice>();
  #walkers: Walker[] = [];
  readonly #floors: number;
  readonly #random = random(7);

  constructor(tags: number, floors = 1) {
    this.#floors = floors;
    const now = stamp();
    const { max_x: maxX, max_y: maxY } = SITE.bounds;
    let anchor = 0;
    for (const [x, y] of [
      [0.3, 0.3],
      [maxX / 2, 0.3],
      [maxX - 0.3, 0.3],
      [0.3, maxY - 0.3],
      [maxX / 2, maxY - 0.3],
      [maxX - 0.3, maxY - 0.3],
      [0.3, maxY / 2],
      [maxX - 0.3, maxY / 2],
    ] as const) {
      anchor += 1;
      this.#add({
        id: `anchor-${String(anchor)}`,
        kind: 'anchor',
        status: anchor === 7 ? 'stale' : 'connected',
        last_seen: now,
        location: { x, y, z: 3.2 },
      });
    }
    this.#add({
      id: 'gateway-1',
      kind: 'gateway',
      status: 'connected',
      last_seen: now,
      location: { x: 34, y: 15, z: 4 },
    });
    for (let index = 1; index <= tags; index += 1) this.#addTag(index, now);
  }

  /** Everybody takes a step; returns those that moved. */
  step(seconds: number): MockDevice[] {
    const moved: MockDevice[] = [];
    const now = stamp();
    for (const walker of this.#walkers) {
      if (walker.device.status !== 'connected') continue;
      this.#walk(walker, seconds);
      const { device } = walker;
      device.location = { x: millimetre(walker.x), y: millimetre(walker.y), z: 1.1 };
      device.timestamp = device.received_at = device.last_seen = now;
      moved.push(device);
    }
    return moved;
  }

  /** Takes a device away; `false` when there is none. */
  remove(id: string): boolean {
    this.#walkers = this.#walkers.filter(({ device }) => device.id !== id);
    return this.devices.delete(id);
  }

  #add(device: MockDevice): void {
    this.devices.set(device.id, device);
  }

  #addTag(index: number, now: string): void {
    const next = this.#random;
    const { max_x: maxX, max_y: maxY } = SITE.bounds;
    const x = 1 + next() * (maxX - 2);
    const y = 1 + next() * (maxY - 2);
    const number = String(index).padStart(2, '0');
    const person = NAMES[index % NAMES.length] ?? '';
    const device: MockDevice = {
      id: `tag-${number}`,
      ...(index % 4 === 0 ? {} : { name: index % 3 === 0 ? `Forklift ${String(index)}` : `${person} ${number}` }),
      kind: 'tag',
      status: index % 17 === 0 ? 'disconnected' : index % 11 === 0 ? 'stale' : 'connected',
      last_seen: index % 17 === 0 ? stamp(Date.now() - 3_900_000) : index % 11 === 0 ? stamp(Date.now() - 41_000) : now,
      location: { x: millimetre(x), y: millimetre(y), z: 1.1 },
      accuracy: millimetre(0.08 + next() * 0.5),
      battery: index % 13 === 0 ? 11 : Math.round(30 + next() * 70),
      source: 'simulator',
      ...(this.#floors > 1 ? { floor: (index % this.#floors) - 1 } : {}),
      timestamp: now,
      received_at: now,
    };
    this.#add(device);
    this.#walkers.push({ device, speed: 0.6 + next() * 1.2, x, y, toX: x, toY: y, heading: next() * 6 });
  }

  #walk(walker: Walker, seconds: number): void {
    const next = this.#random;
    const { max_x: maxX, max_y: maxY } = SITE.bounds;
    if (Math.hypot(walker.toX - walker.x, walker.toY - walker.y) < 0.5) {
      walker.toX = 1 + next() * (maxX - 2);
      walker.toY = 1 + next() * (maxY - 2);
    }
    const wanted = Math.atan2(walker.toY - walker.y, walker.toX - walker.x);
    const turn = Math.atan2(Math.sin(wanted - walker.heading), Math.cos(wanted - walker.heading));
    walker.heading += Math.max(-1.6 * seconds, Math.min(1.6 * seconds, turn)) + (next() - 0.5) * 0.15;
    walker.x = Math.max(0.4, Math.min(maxX - 0.4, walker.x + Math.cos(walker.heading) * walker.speed * seconds));
    walker.y = Math.max(0.4, Math.min(maxY - 0.4, walker.y + Math.sin(walker.heading) * walker.speed * seconds));
  }
}
