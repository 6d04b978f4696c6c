import { screenX, screenY, type Camera } from '../map/camera';
import { metresPerPixel, similarity, type Calibration, type Picture } from './plan';

/** Pictures of floor plans, ready to be painted: drawn once into canvases, and copied from there. */

/** More pixels than this are not kept of a picture: the map is not larger. */
const PIXELS_MAX = 8_000_000;
/** The smaller copy, for maps that show the whole of it: scaling down a large one costs time in every view. */
const SMALL_SIDE = 1_024;
/** How much of a drawing is seen at most, so that what lives stays the foremost. */
const DIMMED = { light: 0.55, dark: 0.42 } as const;
/** Brighter than this on white paper, a picture is a drawing on paper; else a photograph or a dark drawing. */
const PAPER = 0.6;

export type Theme = 'light' | 'dark';

/** One copy of a picture. */
interface Copy {
  readonly canvas: HTMLCanvasElement;
  /** Its pixels for one of the picture. */
  readonly density: number;
}

export class Raster {
  readonly #copies: readonly Copy[];
  /** A drawing, whose paper is as good as transparent; else a photograph. */
  readonly isPaper: boolean;
  #inverted: readonly Copy[] | undefined;

  constructor(image: HTMLImageElement, picture: Picture) {
    const { width, height, vector } = picture;
    // An SVG has as many pixels as one wants; a picture of pixels has its own.
    const own = Math.max(image.naturalWidth, 1) / width;
    const most = Math.sqrt(PIXELS_MAX / (width * height));
    const full = draw(image, picture, Math.min(vector ? most : Math.min(own, 1), most));
    const small = SMALL_SIDE / Math.max(width, height);
    this.#copies = small < full.density / 1.5 ? [full, draw(full.canvas, picture, small)] : [full];
    this.isPaper = brightness(full.canvas) > PAPER;
  }

  /** Paints it where it lies. A drawing takes the map's own colours: its paper is the floor. */
  paint(
    ctx: CanvasRenderingContext2D,
    camera: Camera,
    { width, height }: Picture,
    calibration: Calibration,
    [opacity, theme]: readonly [opacity: number, theme: Theme],
  ): void {
    const lies = similarity(calibration);
    const { a, b, x0, y0 } = lies;
    const { scale } = camera;
    const density = metresPerPixel(lies) * scale * devicePixelRatio;
    const copies = this.isPaper && theme === 'dark' ? (this.#inverted ??= this.#copies.map(invert)) : this.#copies;
    const copy = copies.findLast((one) => one.density >= density) ?? copies[0];
    if (copy === undefined) return;
    ctx.save();
    ctx.globalAlpha = opacity * DIMMED[theme];
    if (this.isPaper) ctx.globalCompositeOperation = theme === 'dark' ? 'screen' : 'multiply';
    ctx.imageSmoothingQuality = 'medium';
    ctx.transform(scale * a, -scale * b, scale * b, scale * a, screenX(camera, x0), screenY(camera, y0));
    ctx.drawImage(copy.canvas, 0, 0, width, height);
    ctx.restore();
  }
}

function canvasOf(width: number, height: number): CanvasRenderingContext2D {
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  const ctx = canvas.getContext('2d');
  if (ctx === null) throw new Error('This browser has no canvas.');
  return ctx;
}

function draw(
  source: HTMLImageElement | HTMLCanvasElement,
  { width, height }: Pick<Picture, 'width' | 'height'>,
  density: number,
): Copy {
  const ctx = canvasOf(width * density, height * density);
  ctx.imageSmoothingQuality = 'high';
  ctx.drawImage(source, 0, 0, ctx.canvas.width, ctx.canvas.height);
  return { canvas: ctx.canvas, density };
}

/** Black on white becomes white on black; colours keep their hue, and what is transparent stays so. */
function invert({ canvas, density }: Copy): Copy {
  const ctx = canvasOf(canvas.width, canvas.height);
  const { width, height } = canvas;
  ctx.drawImage(canvas, 0, 0);
  ctx.globalCompositeOperation = 'difference';
  ctx.fillStyle = '#fff';
  ctx.fillRect(0, 0, width, height);
  ctx.globalCompositeOperation = 'hue';
  ctx.drawImage(canvas, 0, 0);
  ctx.globalCompositeOperation = 'destination-in';
  ctx.drawImage(canvas, 0, 0);
  return { canvas: ctx.canvas, density };
}

/** How bright it is on white paper, 0 to 1. */
function brightness(canvas: HTMLCanvasElement): number {
  const side = 32;
  const ctx = canvasOf(side, side);
  ctx.fillStyle = '#fff';
  ctx.fillRect(0, 0, side, side);
  ctx.drawImage(canvas, 0, 0, side, side);
  try {
    const { data } = ctx.getImageData(0, 0, side, side);
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) {
      sum += 0.2126 * (data[at] ?? 0) + 0.7152 * (data[at + 1] ?? 0) + 0.0722 * (data[at + 2] ?? 0);
    }
    return sum / (side * side * 255);
  } catch {
    // Some browsers keep the pixels of an SVG to themselves; nearly all plans are drawings.
    return 1;
  }
}

/** Loads a picture: of the server, or a file that was chosen. */
export async function loadImage(url: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.decoding = 'async';
  image.src = url;
  await image.decode();
  return image;
}
