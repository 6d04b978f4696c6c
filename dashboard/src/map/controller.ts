import { effect, signal, untracked } from '@preact/signals';

import { dependOn } from '../depend';
import type { Hub } from '../hub';
import type { View } from '../view';
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
import { listenToGestures } from './gestures';
import { GLIDE_LIMIT, Painter, type Scene } from './painter';
import { readPalette } from './palette';
import { MOUSE_REACH, pick, TOUCH_REACH } from './pick';
import { trailSpacing } from './trail';

const START: Camera = { x: 0, y: 0, scale: 20, width: 0, height: 0 };
const HALF_FRAME_MS = 8;
/** While the picture stands still, trails still age. */
const AGEING_MS = 500;
/** Data alone repaint so often, in milliseconds, by how many devices there are; a hand on the map repaints at once. */
const PACE: readonly (readonly [devices: number, ms: number])[] = [
  [100, 0],
  [GLIDE_LIMIT, 30],
  [Infinity, 50],
];

/** Holds the camera, listens to the hands, and paints when something changed. */
export class MapController {
  /** The length of the scale bar. */
  readonly bar = signal(scaleBar(START.scale, 110));
  /** The site point under the mouse. */
  readonly cursor = signal<Point | null>(null);
  readonly #hub: Hub;
  readonly #view: View;
  #camera = START;
  #element: HTMLElement | undefined;
  #painter: Painter | undefined;
  #frame = 0;
  /** Whether somebody has moved the map: from then on it does not move by itself. */
  #touched = false;
  /** Whether the next picture is for somebody's hand. */
  #urgent = false;
  #paintedAt = 0;
  #undo: (() => void)[] = [];

  constructor(hub: Hub, view: View) {
    this.#hub = hub;
    this.#view = view;
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
    const theme = matchMedia('(prefers-color-scheme: dark)');
    const repaint = (): void => {
      painter.setPalette(readPalette(element));
      this.request();
    };
    theme.addEventListener('change', repaint);
    const ageing = setInterval(() => {
      if (this.#view.trails.peek() && this.#hub.live.peek()) this.request();
    }, AGEING_MS);
    this.#hub.world.onChange = () => {
      this.request();
    };
    this.#undo = [
      () => {
        observer.disconnect();
        theme.removeEventListener('change', repaint);
        clearInterval(ageing);
        cancelAnimationFrame(this.#frame);
        this.#frame = 0;
        this.#hub.world.onChange = undefined;
        this.#painter = undefined;
      },
      listenToGestures(element, {
        pan: (dx, dy) => {
          this.#view.follow.value = false;
          this.#move(panBy(this.#camera, dx, dy));
        },
        zoom: (factor, at) => {
          this.#move(zoomAt(this.#camera, factor, this.#view.follow.peek() ? this.#middle() : at));
        },
        click: (at, touch) => {
          this.#view.select(this.#at(at, touch ? TOUCH_REACH : MOUSE_REACH) ?? null);
        },
        hover: (at) => {
          this.cursor.value = at === null ? null : toMetres(this.#camera, at);
          this.#view.hovered.value = at === null ? null : (this.#at(at, MOUSE_REACH) ?? null);
        },
      }),
      effect(() => {
        this.#hub.world.trailSpacing = trailSpacing(this.#view.trailSeconds.value);
      }),
      effect(() => {
        // Whatever the picture depends on.
        const { selected, hovered, follow, trails, trailSeconds, names } = this.#view;
        dependOn(selected, hovered, follow, trails, trailSeconds, names, this.#hub.live);
        this.#urgent = true;
        this.request();
      }),
      effect(() => {
        dependOn(this.#hub.site);
        untracked(() => {
          this.#refit();
        });
        this.request();
      }),
      effect(() => {
        dependOn(this.#hub.world.version);
        untracked(() => {
          this.#refit();
        });
      }),
      effect(() => {
        if (this.#view.centre.value > 0)
          untracked(() => {
            this.#centreOnSelected();
          });
      }),
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
    this.#refit(true);
  }

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
    const scene = this.#scene();
    const moving = painter.advance(scene, this.#camera, now);
    if (this.#view.follow.peek()) this.#centreOnSelected();
    const waiting = painter.paint(scene, this.#camera, now);
    // Follow moves the camera within the picture: that is no hand.
    if (this.#view.follow.peek()) this.#urgent = false;
    if (moving || waiting) this.request();
  }

  #scene(): Scene {
    const view = this.#view;
    return {
      tracks: this.#hub.world.tracks,
      site: this.#hub.site.peek(),
      selected: view.selected.peek(),
      hovered: view.hovered.peek(),
      names: view.names.peek(),
      trailSeconds: view.trails.peek() ? view.trailSeconds.peek() : 0,
      still: matchMedia('(prefers-reduced-motion: reduce)').matches || !this.#hub.live.peek(),
    };
  }

  #move(camera: Camera): void {
    this.#touched = true;
    this.#urgent = true;
    this.#look(camera);
  }

  #look(camera: Camera): void {
    this.#camera = camera;
    const bar = scaleBar(camera.scale, 110);
    if (bar.pixels !== this.bar.peek().pixels) this.bar.value = bar;
    this.request();
  }

  #resize(): void {
    const element = this.#element;
    if (element === undefined) return;
    const { clientWidth: width, clientHeight: height } = element;
    if (width === 0 || height === 0) return;
    this.#painter?.resize(width, height, Math.min(2, window.devicePixelRatio || 1));
    this.#camera = resize(this.#camera, width, height);
    this.#refit(true);
    this.request();
  }

  /** Until somebody moves the map, it shows the site; without bounds, all devices, again when one is outside. */
  #refit(always = false): void {
    if (this.#touched || this.#camera.width === 0) return;
    const bounds = this.#hub.site.peek().bounds ?? this.#deviceBounds();
    if (bounds === undefined) return;
    if (always || !contains(visibleBounds(this.#camera), bounds) || this.#camera.scale === START.scale) {
      this.#look(fit(this.#camera, bounds, this.#camera.width < 600 ? 20 : 44));
    }
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

  #at(pixel: Point, reach: number): string | undefined {
    return pick(this.#hub.world.tracks.values(), this.#camera, pixel, reach);
  }

  #middle(): Point {
    return { x: this.#camera.width / 2, y: this.#camera.height / 2 };
  }
}
