import type { Site } from '../session';
import { glide, type Track } from '../world';
import { paintBase, type Underlay, type Written } from './base';
import { screenX, screenY, type Camera, type Point } from './camera';
import { LOST, OPACITY, type Fade } from './fading';
import { isOnFloor } from './floors';
import { rampOf, type HeatPicture } from './heat';
import { LabelPlaces } from './labels';
import type { Palette } from './palette';
import { paintRuler } from './ruler';
import type { Pen } from './trail';
import { context, LABEL_HEIGHT, SYMBOL_SIZE, Symbols } from './symbols';

/** Everything a picture is made of. */
export interface Scene {
  readonly tracks: ReadonlyMap<string, Track>;
  readonly site: Site;
  readonly underlay: Underlay | undefined;
  readonly selected: string | null;
  readonly hovered: string | null;
  readonly names: boolean;
  /** Seconds of trail; 0 for none. */
  readonly trailSeconds: number;
  /** The moment that they end at, on the clock of their points. */
  readonly trailsEnd: number;
  /** Positions jump instead of gliding. */
  readonly still: boolean;
  /** The picture stands still: nothing moves, whatever comes. */
  readonly paused: boolean;
  /** Circles for the accuracy of every tag. */
  readonly accuracy: boolean;
  /** Anchors and gateways. */
  readonly anchors: boolean;
  /** The floor that is shown; `null` for all. */
  readonly floor: number | null;
  /** Devices of other floors are drawn faintly; else not at all. */
  readonly faintFloors: boolean;
  readonly heat: HeatPicture | undefined;
  /** The points of the measure tool and where its next one would be; `null` while it is off. */
  readonly ruler: { readonly points: readonly Point[]; readonly next: Point | null } | null;
}

/** Whether a track is on the map at all. */
export function isDrawn(track: Track, scene: Pick<Scene, 'anchors' | 'floor' | 'faintFloors'>): boolean {
  if (track.kind !== 'tag' && !scene.anchors) return false;
  return scene.faintFloors || isOnFloor(track.device, scene.floor);
}

/** Above this many in view, tags are squares: copying that many round pictures costs too much without a GPU. */
const ROUND_LIMIT = 1_500;
/** Above this many, positions jump: gliding redraws at the screen's rate, not at the data's. */
export const GLIDE_LIMIT = 300;
const LOW_BATTERY = 20;
/** Trails are painted so many a frame, on a layer that is shown when it is whole. */
const TRAILS_A_FRAME = 120;
/** A new layer of trails is begun so often, in milliseconds, by how many trails there are. */
const TRAIL_PACE: readonly (readonly [trails: number, ms: number])[] = [
  [100, 33],
  [600, 100],
  [Infinity, 300],
];
/** Above this many, trails are thin, so that the tags stay the foremost. */
const THIN_TRAILS = 300;
/** Above this many, nobody can follow a single trail, and all of them cost too much: only the selected one is drawn. */
const TRAIL_LIMIT = 3_000;
/** Above this many in view, circles would cover the picture. */
const CIRCLE_LIMIT = 1_500;
/** How strongly a device of another floor is drawn. */
const FAINT = 0.16;
const BANDS = [0.07, 0.16, 0.27, 0.4, 0.56];
/** Above this many in view, names would only cover the picture; zooming in brings them back. */
const NAMED_LIMIT = 400;

/** Paints the map on one canvas, with a layer below for what changes only with the view and one for the trails. */
export class Painter {
  readonly #ctx: CanvasRenderingContext2D;
  readonly #base = layer();
  #trails = layer();
  /** The next layer of trails, while it is painted. */
  #draft = layer();
  #trailJob: { readonly camera: Camera; readonly tracks: readonly Track[]; next: number } | undefined;
  readonly #places = new LabelPlaces();
  #palette: Palette;
  #symbols: Symbols;
  #ratio = 1;
  #baseOf: { camera: Camera; site: Site; underlay: Underlay | undefined } | undefined;
  /** Where zones are named. */
  #written: readonly Written[] = [];
  #trailsOf: Camera | undefined;
  #trailsAt = -Infinity;
  #last = 0;
  #ramp: Uint32Array | undefined;

  constructor(canvas: HTMLCanvasElement, palette: Palette) {
    this.#ctx = context(canvas);
    this.#palette = palette;
    this.#symbols = new Symbols(palette, 1);
  }

  setPalette(palette: Palette): void {
    this.#palette = palette;
    this.#symbols = new Symbols(palette, this.#ratio);
    this.#baseOf = undefined;
    this.#ramp = undefined;
    this.#forgetTrails();
  }

  /** The colours of the heat map. */
  get ramp(): Uint32Array {
    return (this.#ramp ??= rampOf(this.#palette.heat));
  }

  /** The size in CSS pixels and the device's pixels for each of them. */
  resize(width: number, height: number, ratio: number): void {
    for (const canvas of [this.#ctx.canvas, this.#base.canvas, this.#trails.canvas, this.#draft.canvas]) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
    }
    this.#ratio = ratio;
    this.#symbols = new Symbols(this.#palette, ratio);
    this.#baseOf = undefined;
    this.#forgetTrails();
  }

  /** Moves what is shown towards the newest fixes; `true` while something still moves. */
  advance(scene: Scene, camera: Camera, now: number): boolean {
    const elapsed = Math.min(250, now - this.#last);
    this.#last = now;
    if (scene.paused) return false;
    const still = scene.still || scene.tracks.size > GLIDE_LIMIT;
    return glide(scene.tracks.values(), elapsed, 0.4 / camera.scale, still);
  }

  /** Paints one picture; `true` when trails wait for their turn and another frame is wanted. */
  paint(scene: Scene, camera: Camera, now: number): boolean {
    const ctx = this.#ctx;
    const { site, underlay } = scene;
    const drawn = this.#baseOf;
    if (drawn?.camera !== camera || drawn.site !== site || drawn.underlay !== underlay) {
      this.#scaled(this.#base);
      this.#written = paintBase(this.#base, camera, site, this.#palette, underlay);
      this.#baseOf = { camera, site, underlay };
    }
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.drawImage(this.#base.canvas, 0, 0);
    if (scene.heat !== undefined) this.#paintHeat(scene.heat, camera);
    const waiting = scene.trailSeconds > 0 && this.#paintTrails(scene, camera, now);
    this.#scaled(ctx);
    this.#paintDevices(scene, camera);
    if (scene.ruler !== null) paintRuler(ctx, camera, scene.ruler.points, scene.ruler.next, this.#palette);
    return waiting;
  }

  #paintHeat({ canvas, grid }: HeatPicture, camera: Camera): void {
    const ctx = this.#ctx;
    const { minX, minY, maxX, maxY } = grid.bounds;
    this.#scaled(ctx);
    ctx.imageSmoothingQuality = 'high';
    ctx.drawImage(
      canvas,
      screenX(camera, minX),
      screenY(camera, maxY),
      (maxX - minX) * camera.scale,
      (maxY - minY) * camera.scale,
    );
  }

  #paintTrails(scene: Scene, camera: Camera, now: number): boolean {
    const pace = TRAIL_PACE.find(([trails]) => scene.tracks.size <= trails)?.[1] ?? 0;
    if (this.#trailJob === undefined && now - this.#trailsAt >= pace) {
      const tracks: Track[] = [];
      for (const track of scene.tracks.values()) {
        if (track.trail.size > 1 && isOnFloor(track.device, scene.floor)) tracks.push(track);
      }
      this.#trailJob = { camera, tracks: tracks.length > TRAIL_LIMIT ? [] : tracks, next: 0 };
      this.#trailsAt = now;
      const { canvas } = this.#draft;
      this.#draft.setTransform(1, 0, 0, 1, 0, 0);
      this.#draft.clearRect(0, 0, canvas.width, canvas.height);
    }
    const job = this.#trailJob;
    if (job !== undefined) {
      this.#scaled(this.#draft);
      const some = job.tracks.slice(job.next, job.next + TRAILS_A_FRAME);
      this.#draft.lineWidth = job.tracks.length > THIN_TRAILS ? 1 : 2;
      const { trailsEnd: end, trailSeconds } = scene;
      strokeTrails(this.#draft, some, job.camera, [end - trailSeconds * 1_000, end, scene.paused], this.#palette);
      job.next += TRAILS_A_FRAME;
      if (job.next >= job.tracks.length) this.#showTrails(scene, job.camera);
    }
    const drawn = this.#trailsOf;
    if (drawn === undefined) return true;
    // An older picture of the trails is moved and scaled to where the camera looks now.
    const zoom = camera.scale / drawn.scale;
    const ratio = this.#ratio;
    const left = screenX(camera, drawn.x) - (drawn.width / 2) * zoom;
    const top = screenY(camera, drawn.y) - (drawn.height / 2) * zoom;
    this.#ctx.setTransform(zoom, 0, 0, zoom, left * ratio, top * ratio);
    this.#ctx.drawImage(this.#trails.canvas, 0, 0);
    return this.#trailJob !== undefined || drawn !== camera;
  }

  /** Something else than time and place changed: the trails are painted anew. */
  forgetTrails(): void {
    this.#forgetTrails();
  }

  /** The layer is whole: it takes the place of the one that was shown. */
  #showTrails(scene: Scene, camera: Camera): void {
    const chosen = scene.selected === null ? undefined : scene.tracks.get(scene.selected);
    if (chosen !== undefined) {
      strokeChosen(this.#draft, chosen, camera, scene.trailsEnd - scene.trailSeconds * 1_000, this.#palette);
    }
    [this.#trails, this.#draft] = [this.#draft, this.#trails];
    this.#trailsOf = camera;
    this.#trailJob = undefined;
  }

  #forgetTrails(): void {
    this.#trailJob = undefined;
    this.#trailsOf = undefined;
    this.#trailsAt = -Infinity;
  }

  #paintDevices(scene: Scene, camera: Camera): void {
    const ctx = this.#ctx;
    const inView: Track[] = [];
    const fixed: Track[] = [];
    const elsewhere: Track[] = [];
    const { width, height } = camera;
    for (const track of scene.tracks.values()) {
      if (!track.placed) continue;
      const x = screenX(camera, track.shownX);
      const y = screenY(camera, track.shownY);
      if (x < -SYMBOL_SIZE || y < -SYMBOL_SIZE || x > width + SYMBOL_SIZE || y > height + SYMBOL_SIZE) continue;
      if (!isDrawn(track, scene)) continue;
      if (!isOnFloor(track.device, scene.floor)) elsewhere.push(track);
      else (track.kind === 'tag' ? inView : fixed).push(track);
    }
    ctx.globalAlpha = FAINT;
    if (elsewhere.length > ROUND_LIMIT) for (const track of elsewhere) this.#speck(track, camera);
    else for (const track of elsewhere) this.#symbol(track, camera);
    ctx.globalAlpha = 1;
    if (scene.accuracy && inView.length <= CIRCLE_LIMIT) this.#circles(inView, camera);
    for (const track of fixed) this.#symbol(track, camera);
    if (inView.length > ROUND_LIMIT) this.#crowd(inView, camera);
    else for (const track of inView) this.#faded(track, camera);

    const chosen = scene.selected === null ? undefined : scene.tracks.get(scene.selected);
    const pointed = scene.hovered === null ? undefined : scene.tracks.get(scene.hovered);
    this.#places.clear();
    if (chosen?.placed === true) this.#highlight(chosen, camera, true);
    if (pointed?.placed === true && pointed !== chosen) this.#highlight(pointed, camera, false);
    if (!scene.names || inView.length > NAMED_LIMIT) return;
    for (const written of this.#written) this.#places.claim(...written);
    for (const track of inView) this.#reserve(track, camera);
    for (const track of fixed) this.#reserve(track, camera);
    for (const track of inView) {
      if (track === chosen || track === pointed) continue;
      ctx.globalAlpha = track.fade === LOST ? 0.6 : 1;
      this.#name(ctx, track, camera, false);
    }
    ctx.globalAlpha = 1;
    // What hangs on the wall is named when one looks closely, or when something is wrong with it.
    for (const track of fixed) {
      if (camera.scale >= 9 || track.device.status !== 'connected') this.#name(ctx, track, camera, false);
    }
  }

  #faded(track: Track, camera: Camera): void {
    this.#ctx.globalAlpha = OPACITY[track.fade];
    this.#symbol(track, camera);
    this.#ctx.globalAlpha = 1;
  }

  #symbol(track: Track, camera: Camera): void {
    const x = screenX(camera, track.shownX);
    const y = screenY(camera, track.shownY);
    const { device } = track;
    const scale = symbolScale(camera);
    this.#symbols.draw(this.#ctx, `${track.kind}-${device.status}`, x, y, scale);
    if (device.battery !== undefined && device.battery < LOW_BATTERY) this.#symbols.draw(this.#ctx, 'low', x, y, scale);
  }

  /** The circles within which the tags probably are. All are one path: that is one fill. */
  #circles(tracks: readonly Track[], camera: Camera): void {
    const ctx = this.#ctx;
    ctx.beginPath();
    for (const { device, shownX, shownY } of tracks) {
      const radius = (device.accuracy ?? 0) * camera.scale;
      if (radius < 4) continue;
      const x = screenX(camera, shownX);
      const y = screenY(camera, shownY);
      ctx.moveTo(x + radius, y);
      ctx.arc(x, y, radius, 0, Math.PI * 2);
    }
    ctx.fillStyle = ctx.strokeStyle = this.#palette.connected;
    ctx.lineWidth = 1;
    ctx.globalAlpha = 0.09;
    ctx.fill();
    ctx.globalAlpha = 0.4;
    ctx.stroke();
    ctx.globalAlpha = 1;
  }

  /** Keeps names off this symbol. */
  #reserve(track: Track, camera: Camera): void {
    const half = 5 * symbolScale(camera);
    const x = screenX(camera, track.shownX) - half;
    this.#places.claim(x, screenY(camera, track.shownY) - half, 2 * half, 2 * half);
  }

  /** Many tags: squares for those that are well, and still their own shapes for those that are not. */
  #crowd(tracks: readonly Track[], camera: Camera): void {
    const ctx = this.#ctx;
    const odd: Track[] = [];
    // One style for all of an age: a change of style costs more than a square.
    const ages: Record<Fade, Track[]> = [[], [], []];
    for (const track of tracks) (track.device.status === 'connected' ? ages[track.fade] : odd).push(track);
    ctx.fillStyle = this.#palette.connected;
    for (const fade of [2, 1, 0] as const) {
      ctx.globalAlpha = OPACITY[fade];
      for (const track of ages[fade]) {
        // Whole pixels need no blending at the edges.
        ctx.fillRect(
          Math.round(screenX(camera, track.shownX)) - 3,
          Math.round(screenY(camera, track.shownY)) - 3,
          6,
          6,
        );
      }
    }
    ctx.globalAlpha = 1;
    if (odd.length <= ROUND_LIMIT) for (const track of odd) this.#faded(track, camera);
    else for (const track of odd) this.#speck(track, camera);
  }

  #speck(track: Track, camera: Camera): void {
    this.#ctx.fillStyle = this.#palette[track.device.status];
    this.#ctx.fillRect(screenX(camera, track.shownX) - 1.5, screenY(camera, track.shownY) - 1.5, 3, 3);
  }

  #highlight(track: Track, camera: Camera, chosen: boolean): void {
    const ctx = this.#ctx;
    const x = screenX(camera, track.shownX);
    const y = screenY(camera, track.shownY);
    const { accuracy } = track.device;
    ctx.strokeStyle = this.#palette.select;
    if (accuracy !== undefined && accuracy * camera.scale > 12) {
      ctx.beginPath();
      ctx.arc(x, y, accuracy * camera.scale, 0, Math.PI * 2);
      ctx.fillStyle = this.#palette.select;
      ctx.globalAlpha = 0.1;
      ctx.fill();
      ctx.globalAlpha = 0.5;
      ctx.lineWidth = 1;
      ctx.stroke();
      ctx.globalAlpha = 1;
    }
    ctx.beginPath();
    ctx.arc(x, y, chosen ? 12 : 10.5, 0, Math.PI * 2);
    ctx.lineWidth = chosen ? 2.5 : 1.5;
    ctx.stroke();
    this.#symbol(track, camera);
    this.#name(ctx, track, camera, true);
  }

  /**
   * Writes the name below the symbol, unless another name is there: then that of a tag is left out, and that of what hangs
   * on the wall is above it, if it can. An emphasised one is always written.
   */
  #name(ctx: CanvasRenderingContext2D, track: Track, camera: Camera, strong: boolean): void {
    const x = screenX(camera, track.shownX);
    const away = strong ? 13 : 9 * symbolScale(camera);
    let y = screenY(camera, track.shownY) + away;
    const isFixed = track.kind !== 'tag';
    const { picture, width } = this.#symbols.label(track.label, strong, isFixed);
    const isFree = (): boolean => this.#places.claim(x - width / 2, y, width, LABEL_HEIGHT - 4);
    if (!isFree() && !strong) {
      y -= 2 * away + LABEL_HEIGHT - 4;
      if (!isFixed || !isFree()) return;
    }
    ctx.drawImage(picture, x - width / 2, y, width, LABEL_HEIGHT);
  }

  #scaled(ctx: CanvasRenderingContext2D): void {
    ctx.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
  }
}

/** Symbols shrink a little where the whole site has to fit into a small picture. */
function symbolScale(camera: Camera): number {
  return Math.min(1, Math.max(0.62, camera.scale / 14));
}

/** Older pieces are paler. All pieces of one age are one path, so that a hundred trails cost few strokes. */
function strokeTrails(
  ctx: CanvasRenderingContext2D,
  tracks: readonly Track[],
  camera: Camera,
  [from, to, isPaused]: readonly [from: number, to: number, isPaused: boolean],
  palette: Palette,
): void {
  const pen = penOn(ctx, camera);
  const band = (to - from) / BANDS.length;
  ctx.lineCap = 'round';
  ctx.lineJoin = 'round';
  ctx.strokeStyle = palette.trail;
  for (const [index, alpha] of BANDS.entries()) {
    const begin = from + index * band;
    const end = index === BANDS.length - 1 && !isPaused ? Infinity : begin + band;
    ctx.beginPath();
    for (const { trail } of tracks) trail.trace(pen, begin, end, UNSEEN_PIXELS / camera.scale);
    ctx.globalAlpha = alpha * Math.min(1, ctx.lineWidth / 1.6);
    ctx.stroke();
  }
  ctx.globalAlpha = 1;
}

function strokeChosen(
  ctx: CanvasRenderingContext2D,
  { trail }: Track,
  camera: Camera,
  from: number,
  palette: Palette,
): void {
  ctx.beginPath();
  trail.trace(penOn(ctx, camera), from, Infinity, UNSEEN_PIXELS / camera.scale);
  ctx.globalAlpha = 0.85;
  ctx.lineWidth = 3;
  ctx.lineCap = 'round';
  ctx.lineJoin = 'round';
  ctx.strokeStyle = palette.select;
  ctx.stroke();
  ctx.globalAlpha = 1;
}

/** Points nearer than this to each other make no difference to a line. */
const UNSEEN_PIXELS = 3;

function penOn(ctx: CanvasRenderingContext2D, camera: Camera): Pen {
  const { scale } = camera;
  const dx = screenX(camera, 0);
  const dy = screenY(camera, 0);
  return {
    moveTo: (x, y) => {
      ctx.moveTo(dx + x * scale, dy - y * scale);
    },
    lineTo: (x, y) => {
      ctx.lineTo(dx + x * scale, dy - y * scale);
    },
  };
}

function layer(): CanvasRenderingContext2D {
  return context(document.createElement('canvas'));
}
