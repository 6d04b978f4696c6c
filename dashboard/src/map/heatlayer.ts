import { signal } from '@preact/signals';

import type { World } from '../world';
import { type Bounds, contains } from './camera';
import { isOnFloor } from './floors';
import { HeatGrid, HeatPicture } from './heat';

/** The heat map of the page: begins with what the trails know, then counts the stays of every tag. */
export class HeatLayer {
  /** Since when stays are counted, on this computer's clock; `null` while it is off. */
  readonly since = signal<number | null>(null);
  readonly #world: Pick<World, 'tracks'>;
  readonly #bounds: () => Bounds | undefined;
  #picture: HeatPicture | undefined;
  #floor: number | null = null;
  #sampledAt = 0;
  #isPainted = false;

  constructor(world: Pick<World, 'tracks'>, bounds: () => Bounds | undefined) {
    this.#world = world;
    this.#bounds = bounds;
  }

  show(isOn: boolean): void {
    if (isOn === (this.since.peek() !== null)) return;
    this.since.value = isOn ? Date.now() : null;
    this.#picture = undefined;
  }

  /** Counts where every tag is now; `true` when the picture changed. */
  sample(floorOf: () => number | null, now: number): boolean {
    if (this.since.peek() === null) return false;
    const floor = floorOf();
    const picture = this.#picture;
    const bounds = this.#bounds();
    if (bounds === undefined) return false;
    // Another floor, another plan, or a tag outside of all that was known: begin anew.
    if (picture === undefined || floor !== this.#floor || !contains(picture.grid.bounds, bounds)) {
      this.#begin(bounds, floor, now);
      return true;
    }
    const elapsed = Math.min(5_000, now - this.#sampledAt);
    picture.grid.decay(elapsed);
    for (const track of this.#world.tracks.values()) {
      if (track.kind !== 'tag' || !track.placed || track.device.status === 'disconnected') continue;
      if (isOnFloor(track.device, floor)) picture.grid.add(track, elapsed / 1_000);
    }
    this.#sampledAt = now;
    this.#isPainted = false;
    return true;
  }

  /** What to draw, in the painter's colours. */
  picture(painter: { readonly ramp: Uint32Array }): HeatPicture | undefined {
    const picture = this.#picture;
    if (picture !== undefined && !this.#isPainted) {
      picture.paint(painter.ramp);
      this.#isPainted = true;
    }
    return picture;
  }

  forgetColours(): void {
    this.#isPainted = false;
  }

  #begin(bounds: Bounds, floor: number | null, now: number): void {
    const picture = new HeatPicture(new HeatGrid(widened(bounds)));
    for (const track of this.#world.tracks.values()) {
      if (track.kind === 'tag' && isOnFloor(track.device, floor)) picture.grid.addTrail(track.trail, now);
    }
    this.#picture = picture;
    this.#floor = floor;
    this.#sampledAt = now;
    this.#isPainted = false;
  }
}

/** Without a plan the devices are the bounds: room around them, so that one step outside does not begin anew. */
function widened({ minX, minY, maxX, maxY }: Bounds): Bounds {
  const room = Math.max(2, Math.max(maxX - minX, maxY - minY) / 10);
  return { minX: minX - room, minY: minY - room, maxX: maxX + room, maxY: maxY + room };
}
