import { signal } from '@preact/signals';
import type { Device } from '@anita/client';

import { throttle } from './throttle';
import type { Fade } from './map/fading';
import { Trail } from './map/trail';

/** What the map draws for one device. `x` and `y` are the newest fix, `shownX` and `shownY` glide after it. */
export interface Track {
  readonly id: string;
  device: Device;
  label: string;
  kind: string;
  x: number;
  y: number;
  shownX: number;
  shownY: number;
  /** Whether the device has a position at all. */
  placed: boolean;
  /** The age of its last fix, as it is drawn: see `map/fading.ts`. */
  fade: Fade;
  /** How many fixes came since the page knows it. */
  fixes: number;
  readonly trail: Trail;
}

/** The list and the panels follow at this pace; the map follows every change. */
const LIST_MS = 250;
/** A jump of more than this many metres is shown at once: nobody walked there. */
const JUMP_METRES = 25;

/** Every device the client knows, in the form the map wants. */
export class World {
  readonly tracks = new Map<string, Track>();
  /** Goes up at most four times a second when a device came, went or changed. */
  readonly version = signal(0);
  /** Called for every change; the map marks itself as to be drawn again. */
  onChange: (() => void) | undefined;
  /** Milliseconds between two points of a trail. */
  trailSpacing = 100;

  #devices: ReadonlyMap<string, Device> = new Map();
  readonly #redraw = throttle(() => {
    this.version.value += 1;
  }, LIST_MS);

  /** Shows the devices of this client from now on; tracks of those that both know go on. */
  attach(devices: ReadonlyMap<string, Device>): void {
    this.#devices = devices;
  }

  /** Takes over what changed; `now` is a monotonic time in milliseconds. */
  update(ids: Iterable<string>, now: number): void {
    for (const id of ids) {
      const device = this.#devices.get(id);
      if (device === undefined) this.tracks.delete(id);
      else this.#take(device, now);
    }
    this.#redraw();
    this.onChange?.();
  }

  clear(): void {
    this.tracks.clear();
    this.#redraw();
    this.onChange?.();
  }

  *devices(): IterableIterator<Device> {
    for (const track of this.tracks.values()) yield track.device;
  }

  #take(device: Device, now: number): void {
    let track = this.tracks.get(device.id);
    if (track === undefined) {
      track = {
        id: device.id,
        device,
        label: '',
        kind: device.kind,
        x: 0,
        y: 0,
        shownX: 0,
        shownY: 0,
        placed: false,
        fade: 0,
        fixes: 0,
        trail: new Trail(),
      };
      this.tracks.set(device.id, track);
    }
    if (device.location !== track.device.location) track.fixes += 1;
    track.device = device;
    track.kind = device.kind;
    track.label = device.name ?? device.id;
    const at = device.location;
    if (at == null) return;
    const moved = at.x !== track.x || at.y !== track.y;
    if (!track.placed || Math.hypot(at.x - track.shownX, at.y - track.shownY) > JUMP_METRES) {
      track.shownX = at.x;
      track.shownY = at.y;
    }
    track.x = at.x;
    track.y = at.y;
    if (device.kind === 'tag' && (moved || !track.placed)) track.trail.add(now, at.x, at.y, this.trailSpacing);
    track.placed = true;
  }
}

/** Moves what is shown towards the fixes; returns whether anything is still on its way. `reach` is the half-pixel in metres. */
export function glide(tracks: Iterable<Track>, elapsed: number, reach: number, jump: boolean): boolean {
  const share = jump ? 1 : 1 - Math.exp(-elapsed / 90);
  let moving = false;
  for (const track of tracks) {
    const dx = track.x - track.shownX;
    const dy = track.y - track.shownY;
    if (dx === 0 && dy === 0) continue;
    if (share === 1 || (Math.abs(dx) < reach && Math.abs(dy) < reach)) {
      track.shownX = track.x;
      track.shownY = track.y;
      continue;
    }
    track.shownX += dx * share;
    track.shownY += dy * share;
    moving = true;
  }
  return moving;
}
