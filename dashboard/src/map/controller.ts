import { computed, effect, signal, untracked, type ReadonlySignal } from '@preact/signals';

import { dependOn } from '../depend';
import { colours } from '../shell/theme';
import type { Site } from '../session';
import type { View } from '../view';
import type { World } from '../world';
import { underlay } from './base';
import {
  boundsOf,
  centreOn,
  contains,
  fit,
  panBy,
  resize,
  scaleBar,
  toMetres,
  visibleBounds,
  zoomAt,
  type Bounds,
  type Camera,
  type Point,
} from './camera';
import { Fading } from './fading';
import { floorAfter, floorsOf } from './floors';
import { listenToGestures } from './gestures';
import { HeatLayer } from './heatlayer';
import { withPoint } from './measure';
import { GLIDE_LIMIT, isDrawn, Painter, type Scene } from './painter';
import { readPalette } from './palette';
import { MOUSE_REACH, pick, TOUCH_REACH } from './pick';
import { trailSpacing } from './trail';

const START: Camera = { x: 0, y: 0, scale: 20, width: 0, height: 0 };
const HALF_FRAME_MS = 8;
/** While the picture stands still, trails and fixes still age. */
const AGEING_MS = 500;
/** Data alone repaint so often, in milliseconds, by how many devices there are; a hand on the map repaints at once. */
const PACE: readonly (readonly [devices: number, ms: number])[] = [
  [100, 0],
  [GLIDE_LIMIT, 30],
  [3_000, 50],
  [Infinity, 100],
];

/** What a map shows: the devices of the hub as they are now, or as they were. */
export interface Shown {
  readonly world: Pick<World, 'tracks' | 'version' | 'devices' | 'onChange' | 'trailSpacing'>;
  readonly site: ReadonlySignal<Site>;
  /** Positions come as they happen, and age from then on. */
  readonly live: ReadonlySignal<boolean>;
  /** The server's time, in milliseconds. */
  readonly clock: { now(): number };
  /** The moment that trails end at, on the clock of their points; the page's own clock where there is none. */
  readonly instant?: () => number;
}

/** Holds the camera, listens to the hands, and paints when something changed. */
export class MapController {
  /** The length of the scale bar. */
  readonly bar = signal(scaleBar(START.scale, 110));
  /** The site point under the mouse. */
  readonly cursor = signal<Point | null>(null);
  /** The points of the measure tool. */
  readonly ruler = signal<readonly Point[]>([]);
  /** The floors that devices are on, lowest first. */
  readonly floors = computed(() => {
    dependOn(this.#hub.world.version);
    const floors = floorsOf(this.#hub.world.devices());
    // The same floors are the same list, so that nobody draws anew for them.
    return floors.join() === this.#floors.join() ? this.#floors : (this.#floors = floors);
  });
  readonly heat: HeatLayer;
  readonly #hub: Shown;
  readonly #view: View;
  readonly #fading = new Fading();
  #floors: readonly number[] = [];
  #camera = START;
  #element: HTMLElement | undefined;
  #painter: Painter | undefined;
  #frame = 0;
  /** Whether somebody has moved the map: from then on it does not move by itself. */
  #touched = false;
  /** Whether the next picture is for somebody's hand. */
  #urgent = false;
  #paintedAt = 0;
  /** When the picture was told to stand still, on the page's clock. */
  #pausedAt: number | undefined;
  #undo: (() => void)[] = [];

  constructor(hub: Shown, view: View) {
    this.#hub = hub;
    this.#view = view;
    this.heat = new HeatLayer(hub.world, () => hub.site.peek().bounds ?? this.#deviceBounds());
  }

  /** Begins to paint into `canvas`, which fills `element`. */
  attach(element: HTMLElement, canvas: HTMLCanvasElement): () => void {
    const painter = new Painter(canvas, readPalette(element));
    this.#element = element;
    this.#painter = painter;

    const observer = new ResizeObserver(() => {
      this.#resize();
    });
    observer.observe(element);
    const ageing = setInterval(() => {
      this.#age();
    }, AGEING_MS);
    this.#hub.world.onChange = () => {
      if (!this.#view.paused.peek()) this.request();
    };
    this.#undo = [
      () => {
        observer.disconnect();
        clearInterval(ageing);
        cancelAnimationFrame(this.#frame);
        this.#frame = 0;
        this.#hub.world.onChange = undefined;
        this.#painter = undefined;
      },
      this.#listen(element),
      effect(() => {
        dependOn(colours);
        painter.setPalette(readPalette(element));
        this.heat.forgetColours();
        this.request();
      }),
      ...this.#followView(),
    ];
    this.#resize();
    return () => {
      for (const undo of this.#undo.splice(0)) undo();
    };
  }

  /** Asks for one more picture. */
  request(): void {
    if (this.#frame !== 0 || this.#painter === undefined) return;
    this.#frame = requestAnimationFrame((now) => {
      this.#frame = 0;
      this.#paint(now);
    });
  }

  zoomBy(factor: number): void {
    this.#move(zoomAt(this.#camera, factor, this.#middle()));
  }

  panBy(dx: number, dy: number): void {
    this.#view.follow.value = false;
    this.#move(panBy(this.#camera, dx, dy));
  }

  /** Shows the whole site, or all devices where the site has no bounds. */
  fit(): void {
    this.#view.follow.value = false;
    this.#touched = false;
    this.#view.look.value = null;
    this.#refit(true);
  }

  /** Sets a point of the measure tool in the middle of the map: for the keyboard. */
  measureHere(): void {
    this.#setPoint(this.#middle(), MOUSE_REACH);
  }

  takeBackPoint(): void {
    this.ruler.value = this.ruler.peek().slice(0, -1);
  }

  /** The picture is of another moment: trails of the one before are gone at once. */
  jumped(): void {
    this.#painter?.forgetTrails();
    this.#urgent = true;
    this.request();
  }

  /** The `index`th floor alone, or all again. */
  chooseFloor(index: number): void {
    this.#view.floor.value = floorAfter(this.floors.peek(), this.#view.floor.peek(), index);
  }

  #listen(element: HTMLElement): () => void {
    return listenToGestures(element, {
      pan: (dx, dy) => {
        this.#view.follow.value = false;
        this.#move(panBy(this.#camera, dx, dy));
      },
      zoom: (factor, at) => {
        this.#move(zoomAt(this.#camera, factor, this.#view.follow.peek() ? this.#middle() : at));
      },
      click: (at, touch) => {
        const reach = touch ? TOUCH_REACH : MOUSE_REACH;
        if (this.#view.measuring.peek()) this.#setPoint(at, reach);
        else this.#view.select(this.#at(at, reach) ?? null);
      },
      hover: (at) => {
        this.cursor.value = at === null ? null : toMetres(this.#camera, at);
        this.#view.hovered.value = at === null ? null : (this.#at(at, MOUSE_REACH) ?? null);
        if (this.#view.measuring.peek()) {
          this.#urgent = true;
          this.request();
        }
      },
    });
  }

  /** The effects that keep the picture as the view says. */
  #followView(): (() => void)[] {
    const { world } = this.#hub;
    return [
      effect(() => {
        world.trailSpacing = trailSpacing(this.#view.trailSeconds.value);
      }),
      effect(() => {
        // Whatever the picture depends on.
        const { selected, hovered, follow, trails, trailSeconds, names, accuracy, anchors } = this.#view;
        dependOn(selected, hovered, follow, trails, trailSeconds, names, accuracy, anchors, this.#hub.live, this.ruler);
        dependOn(underlay);
        this.#urgent = true;
        this.request();
      }),
      effect(() => {
        dependOn(this.#view.floor, this.#view.faintFloors);
        this.#painter?.forgetTrails();
        this.#urgent = true;
        this.request();
      }),
      effect(() => {
        this.#pausedAt = this.#view.paused.value ? performance.now() : undefined;
        this.#urgent = true;
        this.request();
      }),
      effect(() => {
        this.heat.show(this.#view.heat.value);
        this.request();
      }),
      effect(() => {
        if (!this.#view.measuring.value) this.ruler.value = [];
      }),
      effect(() => {
        dependOn(this.#hub.site);
        untracked(() => {
          this.#refit();
        });
        this.request();
      }),
      effect(() => {
        dependOn(world.version);
        untracked(() => {
          this.#refit();
        });
      }),
      effect(() => {
        dependOn(this.#view.look);
        untracked(() => {
          this.#lookAsTold();
        });
      }),
      effect(() => {
        if (this.#view.centre.value > 0)
          untracked(() => {
            this.#centreOnSelected();
          });
      }),
    ];
  }

  /** A few times a second: fixes age, trails shorten, stays are counted. */
  #age(): void {
    if (this.#view.paused.peek() || document.hidden) return;
    const { world, live } = this.#hub;
    const faded = live.peek() && this.#fading.judge(world.tracks, this.#hub.clock.now());
    const warmer = live.peek() && this.heat.sample(this.#floorOf, performance.now());
    if (faded || warmer || (this.#view.trails.peek() && live.peek())) this.request();
  }

  readonly #floorOf = (): number | null => this.#view.floor.peek();

  #paint(now: number): void {
    const painter = this.#painter;
    if (painter === undefined || this.#camera.width === 0) return;
    const pace = PACE.find(([devices]) => this.#hub.world.tracks.size <= devices)?.[1] ?? 0;
    if (!this.#urgent && now - this.#paintedAt < pace - HALF_FRAME_MS) {
      this.request();
      return;
    }
    this.#urgent = false;
    this.#paintedAt = now;
    const trailsEnd = this.#pausedAt ?? this.#hub.instant?.() ?? now;
    const scene = this.#scene(painter, trailsEnd);
    const moving = painter.advance(scene, this.#camera, now);
    if (this.#view.follow.peek()) this.#centreOnSelected();
    const waiting = painter.paint(scene, this.#camera, now);
    // Follow moves the camera within the picture: that is no hand.
    if (this.#view.follow.peek()) this.#urgent = false;
    if (moving || waiting) this.request();
  }

  #scene(painter: Painter, trailsEnd: number): Scene {
    const view = this.#view;
    return {
      tracks: this.#hub.world.tracks,
      site: this.#hub.site.peek(),
      underlay: underlay.peek(),
      selected: view.selected.peek(),
      hovered: view.hovered.peek(),
      names: view.names.peek(),
      trailSeconds: view.trails.peek() ? view.trailSeconds.peek() : 0,
      trailsEnd,
      still: matchMedia('(prefers-reduced-motion: reduce)').matches || !this.#hub.live.peek(),
      paused: view.paused.peek(),
      accuracy: view.accuracy.peek(),
      anchors: view.anchors.peek(),
      floor: view.floor.peek(),
      faintFloors: view.faintFloors.peek(),
      heat: this.heat.picture(painter),
      ruler: view.measuring.peek() ? { points: this.ruler.peek(), next: this.cursor.peek() } : null,
    };
  }

  #setPoint(at: Point, reach: number): void {
    const id = this.#at(at, reach);
    const device = id === undefined ? undefined : this.#hub.world.tracks.get(id);
    // A point on a device is where the device is.
    const point = device === undefined ? toMetres(this.#camera, at) : { x: device.shownX, y: device.shownY };
    this.ruler.value = withPoint(this.ruler.peek(), point);
  }

  #move(camera: Camera): void {
    this.#touched = true;
    this.#urgent = true;
    this.#look(camera);
    const { x, y, scale } = camera;
    this.#view.look.value = { x, y, scale };
  }

  #look(camera: Camera): void {
    this.#camera = camera;
    const bar = scaleBar(camera.scale, 110);
    if (bar.pixels !== this.bar.peek().pixels) this.bar.value = bar;
    this.request();
  }

  /** Somebody else than this map has said where to look: the address. */
  #lookAsTold(): void {
    const look = this.#view.look.peek();
    const { x, y, scale } = this.#camera;
    if (look === null) {
      // Following goes on from where it is.
      if (!this.#touched || this.#view.follow.peek()) return;
      this.#touched = false;
      this.#refit(true);
    } else if (look.x !== x || look.y !== y || look.scale !== scale) {
      this.#touched = true;
      this.#urgent = true;
      this.#look({ ...this.#camera, ...look });
    }
  }

  #resize(): void {
    const element = this.#element;
    if (element === undefined) return;
    const { clientWidth: width, clientHeight: height } = element;
    if (width === 0 || height === 0) return;
    this.#painter?.resize(width, height, Math.min(2, window.devicePixelRatio || 1));
    this.#camera = resize(this.#camera, width, height);
    this.#refit(true);
    this.#urgent = true;
    this.request();
  }

  /** Until somebody moves the map, it shows the site; without bounds, all devices, again when one is outside. */
  #refit(always = false): void {
    if (this.#touched || this.#camera.width === 0) return;
    const bounds = this.#hub.site.peek().bounds ?? this.#deviceBounds();
    if (bounds === undefined) return;
    if (always || !contains(visibleBounds(this.#camera), bounds) || this.#camera.scale === START.scale) {
      const padding = this.#camera.width < 600 ? 16 : 24;
      const [top, bottom] = [this.#covered('.past-banner'), this.#covered('.map-bottom')];
      // The names of what hangs on the lower wall are below it.
      this.#look(fit(this.#camera, bounds, padding, top, bottom + 12));
    }
  }

  /** How much of the picture lies under the tools at its lower edge, or under the banner at its upper one, and a gap. */
  #covered(what: '.past-banner' | '.map-bottom'): number {
    const box = this.#element?.parentElement?.querySelector<HTMLElement>(what);
    return (box?.offsetHeight ?? 0) + 24;
  }

  #deviceBounds(): Bounds | undefined {
    const placed: Point[] = [];
    for (const track of this.#hub.world.tracks.values()) if (track.placed) placed.push(track);
    for (const zone of this.#hub.site.peek().zones) for (const [x, y] of zone.polygon) placed.push({ x, y });
    return boundsOf(placed);
  }

  #centreOnSelected(): void {
    const id = this.#view.selected.peek();
    const track = id === null ? undefined : this.#hub.world.tracks.get(id);
    if (track?.placed !== true) return;
    const to = { x: track.shownX, y: track.shownY };
    if (to.x !== this.#camera.x || to.y !== this.#camera.y) this.#move(centreOn(this.#camera, to));
  }

  /** What can be seen at a pixel: what is hidden or faint cannot be pointed at. */
  #at(pixel: Point, reach: number): string | undefined {
    const shown = { anchors: this.#view.anchors.peek(), floor: this.#view.floor.peek(), faintFloors: false };
    return pick(this.#hub.world.tracks.values(), this.#camera, pixel, reach, (track) => isDrawn(track, shown));
  }

  #middle(): Point {
    return { x: this.#camera.width / 2, y: this.#camera.height / 2 };
  }
}
