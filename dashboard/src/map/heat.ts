import type { Bounds, Point } from './camera';
import type { Trail } from './trail';

/** Where tags stay: seconds in the cells of a grid over the site, which fade as time goes by. */

/** Cells along the longer side. */
const CELLS = 160;
/** After this time a stay counts half. */
export const HALF_LIFE_MS = 60_000;
/** A cell that holds less than this share of the fullest is not coloured: one pass leaves no colour for ever. */
const LEAST = 0.02;
/** A stay is spread over its cell and the eight around it. */
const SPREAD = [0.0625, 0.125, 0.0625, 0.125, 0.25, 0.125, 0.0625, 0.125, 0.0625] as const;

export class HeatGrid {
  readonly bounds: Bounds;
  readonly columns: number;
  readonly rows: number;
  readonly #cells: Float32Array;
  readonly #size: number;

  constructor(bounds: Bounds, cells = CELLS) {
    const width = Math.max(bounds.maxX - bounds.minX, 1);
    const height = Math.max(bounds.maxY - bounds.minY, 1);
    this.#size = Math.max(width, height) / cells;
    this.columns = Math.max(1, Math.ceil(width / this.#size));
    this.rows = Math.max(1, Math.ceil(height / this.#size));
    this.bounds = {
      minX: bounds.minX,
      minY: bounds.minY,
      maxX: bounds.minX + this.columns * this.#size,
      maxY: bounds.minY + this.rows * this.#size,
    };
    this.#cells = new Float32Array(this.columns * this.rows);
  }

  /** Adds a stay of `seconds`; what is outside of the grid is left out. */
  add({ x, y }: Point, seconds: number): void {
    const column = Math.floor((x - this.bounds.minX) / this.#size);
    const row = Math.floor((this.bounds.maxY - y) / this.#size);
    if (!(column >= 0 && column < this.columns && row >= 0 && row < this.rows)) return;
    let share = 0;
    for (let down = row - 1; down <= row + 1; down += 1) {
      for (let right = column - 1; right <= column + 1; right += 1) {
        const weight = SPREAD[share++] ?? 0;
        if (right < 0 || right >= this.columns || down < 0 || down >= this.rows) continue;
        const cell = down * this.columns + right;
        this.#cells[cell] = (this.#cells[cell] ?? 0) + seconds * weight;
      }
    }
  }

  /** Adds where a tag has been, as far back as its trail knows. */
  addTrail(trail: Trail, now: number): void {
    let before: number | undefined;
    trail.each((time, x, y) => {
      // Newest first: a tag was at a point until the next one.
      const until = before ?? now;
      const aged = 0.5 ** ((now - time) / HALF_LIFE_MS);
      if (until - time < 5_000) this.add({ x, y }, ((until - time) / 1_000) * aged);
      before = time;
    });
  }

  /** Lets `ms` pass. */
  decay(ms: number): void {
    const left = 0.5 ** (ms / HALF_LIFE_MS);
    const cells = this.#cells;
    for (let cell = 0; cell < cells.length; cell += 1) cells[cell] = (cells[cell] ?? 0) * left;
  }

  /** Seconds in the cell at this point. */
  at({ x, y }: Point): number {
    const column = Math.floor((x - this.bounds.minX) / this.#size);
    const row = Math.floor((this.bounds.maxY - y) / this.#size);
    if (column < 0 || column >= this.columns || row < 0 || row >= this.rows) return 0;
    return this.#cells[row * this.columns + column] ?? 0;
  }

  /** Colours every cell by its share of the fullest: `ramp` has 256 colours, the first for nothing. */
  colour(into: Uint32Array, ramp: Uint32Array): void {
    const cells = this.#cells;
    let most = 0;
    for (const cell of cells) if (cell > most) most = cell;
    for (let cell = 0; cell < cells.length; cell += 1) {
      const share = most === 0 ? 0 : (cells[cell] ?? 0) / most;
      // The root lets short stays be seen beside long ones.
      into[cell] = share < LEAST ? 0 : (ramp[Math.round(Math.sqrt(share) * 255)] ?? 0);
    }
  }
}

/** The grid as a picture that the map scales to the site. */
export class HeatPicture {
  readonly canvas: HTMLCanvasElement;
  readonly grid: HeatGrid;
  readonly #ctx: CanvasRenderingContext2D;
  readonly #image: ImageData;
  readonly #pixels: Uint32Array;

  constructor(grid: HeatGrid) {
    this.grid = grid;
    this.canvas = document.createElement('canvas');
    this.canvas.width = grid.columns;
    this.canvas.height = grid.rows;
    const ctx = this.canvas.getContext('2d');
    if (ctx === null) throw new Error('this browser gives no 2D canvas');
    this.#ctx = ctx;
    this.#image = ctx.createImageData(grid.columns, grid.rows);
    this.#pixels = new Uint32Array(this.#image.data.buffer);
  }

  paint(ramp: Uint32Array): void {
    this.grid.colour(this.#pixels, ramp);
    this.#ctx.putImageData(this.#image, 0, 0);
  }
}

/** 256 colours from clear over the given ones, in the order of an ImageData. */
export function rampOf(colours: readonly string[]): Uint32Array {
  const canvas = document.createElement('canvas');
  canvas.width = 256;
  canvas.height = 1;
  const ctx = canvas.getContext('2d', { willReadFrequently: true });
  if (ctx === null) throw new Error('this browser gives no 2D canvas');
  const gradient = ctx.createLinearGradient(0, 0, 256, 0);
  colours.forEach((colour, index) => {
    gradient.addColorStop(index / Math.max(1, colours.length - 1), colour);
  });
  ctx.fillStyle = gradient;
  ctx.fillRect(0, 0, 256, 1);
  const { data } = ctx.getImageData(0, 0, 256, 1);
  for (let index = 0; index < 256; index += 1) data[index * 4 + 3] = Math.min(205, 40 + index * 1.1);
  return new Uint32Array(data.buffer);
}
