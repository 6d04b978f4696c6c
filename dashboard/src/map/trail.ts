/** Where a tag has been: the last points with their times, in fixed memory. */

/** A gap longer than this is not drawn as a line: nobody knows what happened in between. */
export const GAP_MS = 5_000;
const CAPACITY = 160;

/** What draws lines: in metres. */
export interface Pen {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
}

export class Trail {
  readonly #times = new Float64Array(CAPACITY);
  readonly #xs = new Float64Array(CAPACITY);
  readonly #ys = new Float64Array(CAPACITY);
  #start = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Takes a point, unless the one before is younger than `spacing`: then it replaces it, so the head is always right. */
  add(time: number, x: number, y: number, spacing: number): void {
    const before = this.#size >= 2 ? this.#slot(this.#size - 2) : -1;
    if (before >= 0 && time - (this.#times[before] ?? 0) < spacing) {
      this.#put(this.#slot(this.#size - 1), time, x, y);
      return;
    }
    if (this.#size < CAPACITY) this.#size += 1;
    else this.#start = (this.#start + 1) % CAPACITY;
    this.#put(this.#slot(this.#size - 1), time, x, y);
  }

  clear(): void {
    this.#start = 0;
    this.#size = 0;
  }

  /**
   * Draws the pieces that end within `(from, to]`, newest first, as lines that are as long as they can be: they end at
   * a gap. Points nearer than `near` to the one drawn before are left out, for nobody would see them.
   */
  trace(pen: Pen, from: number, to: number, near = 0): void {
    let [lastX, lastY, lastTime] = [0, 0, 0];
    let isDown = false;
    /** A point that was left out, and must be drawn if the line ends there. */
    let skipped = false;
    let [x, y] = [0, 0];
    for (let index = this.#size - 1; index >= 0; index -= 1) {
      const slot = this.#slot(index);
      const time = this.#times[slot] ?? 0;
      if (time > to) continue;
      const isPiece = isDown && lastTime - time <= GAP_MS;
      if (!isPiece) {
        if (skipped) pen.lineTo(x, y);
        if (time <= from) return;
      }
      x = this.#xs[slot] ?? 0;
      y = this.#ys[slot] ?? 0;
      if (!isPiece) {
        pen.moveTo(x, y);
        isDown = true;
        skipped = false;
        [lastX, lastY] = [x, y];
      } else if (Math.abs(x - lastX) + Math.abs(y - lastY) < near) {
        skipped = true;
      } else {
        pen.lineTo(x, y);
        skipped = false;
        [lastX, lastY] = [x, y];
      }
      lastTime = time;
      // The piece that ends within the time begins before it.
      if (time <= from) break;
    }
    if (skipped) pen.lineTo(x, y);
  }

  /** Every point, newest first. */
  each(visit: (time: number, x: number, y: number) => void): void {
    for (let index = this.#size - 1; index >= 0; index -= 1) {
      const slot = this.#slot(index);
      visit(this.#times[slot] ?? 0, this.#xs[slot] ?? 0, this.#ys[slot] ?? 0);
    }
  }

  /** Where it was at this time: the newest point that is not younger. */
  before(time: number): { time: number; x: number; y: number } | undefined {
    for (let index = this.#size - 1; index >= 0; index -= 1) {
      const slot = this.#slot(index);
      const at = this.#times[slot] ?? 0;
      if (at <= time) return { time: at, x: this.#xs[slot] ?? 0, y: this.#ys[slot] ?? 0 };
    }
    return undefined;
  }

  #slot(index: number): number {
    return (this.#start + index) % CAPACITY;
  }

  #put(slot: number, time: number, x: number, y: number): void {
    this.#times[slot] = time;
    this.#xs[slot] = x;
    this.#ys[slot] = y;
  }
}

/** How far apart the points of a trail of `seconds` are kept: all of it has to fit. */
export function trailSpacing(seconds: number): number {
  return (seconds * 1_000) / (CAPACITY - 32);
}
