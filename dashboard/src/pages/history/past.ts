import { signal } from '@preact/signals';
import type { Device } from '@anita/client';

import { Trail } from '../../map/trail';
import { throttle } from '../../throttle';
import type { Track } from '../../world';
import type { Archive, PastFix } from './archive';
import { eachFix, momentIn, neighbours, statusOf, type Moment } from './replay';

/** How a device is called, and what it is: the past itself does not tell. */
export interface Named {
  readonly name?: string | null | undefined;
  readonly kind: Device['kind'];
}

/** The lists follow at this pace. */
const LIST_MS = 250;
/** A longer step than this is a seek: trails are made anew. */
const STEP_MS_MAX = 180_000;
/** Between two fixes that are neighbours, a trail has a point at least so often. */
const POINT_MS = 2_000;

interface Seat {
  readonly track: Track;
  /** Its newest fix, to see when that changes. */
  time: number;
}

/** The devices as they were at one moment, in the form that the map wants. Nothing live comes in here. */
export class PastWorld {
  readonly tracks = new Map<string, Track>();
  readonly version = signal(0);
  onChange: (() => void) | undefined;
  trailSpacing = 100;
  /** How long trails are, in milliseconds: they are made anew after a jump. */
  trailMs = 0;
  readonly #archive: Archive;
  readonly #named: (id: string) => Named | undefined;
  readonly #seats = new Map<string, Seat>();
  /** The moment that is shown; `NaN` for none. */
  #instant = NaN;
  readonly #redraw = throttle(() => {
    this.version.value += 1;
  }, LIST_MS);

  constructor(archive: Archive, named: (id: string) => Named | undefined) {
    this.#archive = archive;
    this.#named = named;
  }

  get instant(): number {
    return this.#instant;
  }

  *devices(): IterableIterator<Device> {
    for (const track of this.tracks.values()) yield track.device;
  }

  /** Shows everything as it was then; `false` when that moment is not loaded, and nothing is shown. */
  show(instant: number): boolean {
    const chunk = this.#archive.at(instant);
    if (chunk === undefined) {
      this.clear();
      return false;
    }
    const step = instant - this.#instant;
    const goesOn = step >= 0 && step < STEP_MS_MAX;
    const before = this.#instant;
    this.#instant = instant;
    for (const id of chunk.ids) {
      const isFixed = (this.#seats.get(id)?.track.kind ?? this.#named(id)?.kind ?? 'tag') !== 'tag';
      const moment = momentIn(this.#archive, chunk, id, instant, isFixed);
      if (moment === undefined) this.#leave(id);
      else this.#put(id, moment, instant, goesOn ? before : undefined, chunk.everyMs);
    }
    if (this.#seats.size > chunk.ids.length) {
      const here = new Set(chunk.ids);
      for (const id of this.#seats.keys()) if (!here.has(id)) this.#leave(id);
    }
    this.#redraw();
    this.onChange?.();
    return true;
  }

  /** Something else than the moment has changed: more is loaded, trails are longer, names are known. */
  renew(): void {
    const instant = this.#instant;
    if (Number.isNaN(instant)) return;
    this.#seats.clear();
    this.tracks.clear();
    this.#instant = NaN;
    this.show(instant);
  }

  clear(): void {
    this.#instant = NaN;
    if (this.#seats.size === 0) return;
    this.#seats.clear();
    this.tracks.clear();
    this.#redraw();
    this.onChange?.();
  }

  #leave(id: string): void {
    if (this.#seats.delete(id)) this.tracks.delete(id);
  }

  #put(id: string, moment: Moment, instant: number, since: number | undefined, everyMs: number): void {
    let seat = this.#seats.get(id);
    const isNew = seat === undefined;
    if (seat === undefined) {
      seat = { track: this.#track(id, moment.fix), time: NaN };
      this.#seats.set(id, seat);
      this.tracks.set(id, seat.track);
    }
    const { track } = seat;
    const { fix, x, y, fade } = moment;
    if (seat.time !== fix.time || track.fade !== fade) {
      track.device = deviceAt(track.device, fix, statusOf(fade));
      seat.time = fix.time;
      track.fade = fade;
    }
    track.x = track.shownX = x;
    track.y = track.shownY = y;
    if (track.kind !== 'tag') return;
    if (isNew || since === undefined) this.#retrace(id, track, instant, everyMs);
    else
      eachFix(this.#archive, id, since, instant, (time, atX, atY) => {
        track.trail.add(time, atX, atY, this.trailSpacing);
      });
    // The way from the last fix to where it is shown.
    if (moment.isMoving && instant > fix.time) track.trail.add(instant, x, y, this.trailSpacing);
  }

  /** Makes a trail anew, from the fixes before the moment. */
  #retrace(id: string, { trail }: Track, instant: number, everyMs: number): void {
    trail.clear();
    let last: { time: number; x: number; y: number } | undefined;
    eachFix(this.#archive, id, instant - this.trailMs - neighbours(everyMs), instant, (time, x, y) => {
      if (last !== undefined && time - last.time > POINT_MS && time - last.time <= neighbours(everyMs)) {
        const points = Math.ceil((time - last.time) / POINT_MS);
        for (let point = 1; point < points; point += 1) {
          const share = point / points;
          trail.add(
            last.time + (time - last.time) * share,
            last.x + (x - last.x) * share,
            last.y + (y - last.y) * share,
            this.trailSpacing,
          );
        }
      }
      trail.add(time, x, y, this.trailSpacing);
      last = { time, x, y };
    });
  }

  #track(id: string, fix: PastFix): Track {
    const known = this.#named(id);
    const kind = known?.kind ?? 'tag';
    const name = known?.name ?? undefined;
    const fresh: Pick<Device, 'id' | 'kind' | 'name'> = { id, kind, ...(name === undefined ? {} : { name }) };
    const device = deviceAt(fresh, fix, 'connected');
    return {
      id,
      device,
      label: name ?? id,
      kind,
      x: fix.x,
      y: fix.y,
      shownX: fix.x,
      shownY: fix.y,
      placed: true,
      fade: 0,
      fixes: 0,
      trail: new Trail(),
    };
  }
}

/** The device as this fix tells it. */
function deviceAt(device: Pick<Device, 'id' | 'kind' | 'name'>, fix: PastFix, status: Device['status']): Device {
  const { id, name, kind } = device;
  return {
    id,
    ...(name === undefined ? {} : { name }),
    kind,
    status,
    last_seen: new Date(fix.time).toISOString(),
    location: { x: fix.x, y: fix.y, z: fix.z },
    ...(Number.isNaN(fix.accuracy) ? {} : { accuracy: fix.accuracy }),
    ...(Number.isNaN(fix.floor) ? {} : { floor: fix.floor }),
    ...(Number.isNaN(fix.battery) ? {} : { battery: fix.battery }),
  };
}
