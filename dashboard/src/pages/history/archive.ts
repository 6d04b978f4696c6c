import type { FixSink } from './csv';

/** Where devices were: stretches of time that are loaded, in columns, within a bound on memory. */

/** A fix, in milliseconds and metres. What it does not tell is `NaN`. */
export interface PastFix {
  readonly time: number;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly accuracy: number;
  readonly floor: number;
  readonly battery: number;
  /** The pause before it, as far as that is known; else 0. */
  readonly pauseMs: number;
}

/** The fixes of one device within a chunk: `[from, to)` of its columns. */
export interface Run {
  readonly from: number;
  readonly to: number;
  /** Where somebody looked last: what comes next is mostly beside it. */
  hint: number;
}

/** So many fixes are held at most, 40 bytes each; what is farthest from the shown instant goes first. */
export const ARCHIVE_FIXES_MAX = 1_200_000;
/** One stretch holds at most so many: more than expected is asked for again in smaller ones. */
export const CHUNK_FIXES_MAX = 250_000;

/** Everything that the chosen devices reported within `[start, end)`. */
export class Chunk {
  readonly start: number;
  readonly end: number;
  /** Fixes of a device that were less than so many milliseconds apart were left out; 0 for none. */
  readonly everyMs: number;
  readonly times: Float64Array;
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  readonly zs: Float32Array;
  readonly accuracies: Float32Array;
  readonly floors: Float32Array;
  readonly batteries: Float32Array;
  readonly runs: ReadonlyMap<string, Run>;
  /** The newest fix before the start of each device that had one not too long ago. */
  readonly before: ReadonlyMap<string, PastFix>;
  /** Every device of the two. */
  readonly ids: readonly string[];

  constructor(start: number, end: number, everyMs: number, columns: Columns, before: ReadonlyMap<string, PastFix>) {
    this.start = start;
    this.end = end;
    this.everyMs = everyMs;
    this.times = columns.times;
    this.xs = columns.xs;
    this.ys = columns.ys;
    this.zs = columns.zs;
    this.accuracies = columns.accuracies;
    this.floors = columns.floors;
    this.batteries = columns.batteries;
    this.runs = columns.runs;
    this.before = before;
    this.ids = [...new Set([...columns.runs.keys(), ...before.keys()])];
  }

  get fixes(): number {
    return this.times.length;
  }

  /** The last index of the run whose time is not after `time`; `from - 1` when there is none. */
  indexAt(run: Run, time: number): number {
    const { times } = this;
    const isHere = (index: number): boolean =>
      (index < run.from || at(times, index) <= time) && (index + 1 >= run.to || at(times, index + 1) > time);
    for (let index = run.hint; index < run.hint + NEAR && index < run.to; index += 1) {
      if (isHere(index)) return (run.hint = index);
    }
    let [low, high] = [run.from, run.to];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at(times, middle) <= time) low = middle + 1;
      else high = middle;
    }
    return (run.hint = low - 1);
  }

  fix(run: Run, index: number): PastFix {
    const time = at(this.times, index);
    return {
      time,
      x: at(this.xs, index),
      y: at(this.ys, index),
      z: at(this.zs, index),
      accuracy: at(this.accuracies, index),
      floor: at(this.floors, index),
      battery: at(this.batteries, index),
      pauseMs: index > run.from ? time - at(this.times, index - 1) : 0,
    };
  }

  /** The newest fix of each device at the end: what the next chunk begins with. */
  atEnd(): Map<string, PastFix> {
    const newest = new Map(this.before);
    for (const [id, run] of this.runs) newest.set(id, this.fix(run, run.to - 1));
    return newest;
  }
}

/** How far from the last place it is looked one by one. */
const NEAR = 4;

const at = (column: Float64Array | Float32Array, index: number): number => column[index] ?? NaN;

export interface Columns {
  readonly times: Float64Array;
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  readonly zs: Float32Array;
  readonly accuracies: Float32Array;
  readonly floors: Float32Array;
  readonly batteries: Float32Array;
  readonly runs: ReadonlyMap<string, Run>;
}

/** More came than one stretch holds. */
export class TooMany extends Error {
  override readonly name = 'TooMany';
}

/** Takes the fixes of one stretch as they come. */
export class ColumnsBuilder implements FixSink {
  #size = 0;
  #times = new Float64Array(FIRST);
  #xs = new Float64Array(FIRST);
  #ys = new Float64Array(FIRST);
  /** Height, accuracy, floor, battery. */
  #more = new Float32Array(4 * FIRST);
  readonly #runs = new Map<string, Run>();
  readonly #wanted: ((id: string) => boolean) | undefined;
  readonly #limit: number;
  #device: string | undefined;
  #from = 0;

  /** Devices that are not `wanted` are left out. */
  constructor(wanted?: (id: string) => boolean, limit = CHUNK_FIXES_MAX) {
    this.#wanted = wanted;
    this.#limit = limit;
  }

  get fixes(): number {
    return this.#size;
  }

  device(id: string): void {
    this.#finishRun();
    this.#device = this.#wanted === undefined || this.#wanted(id) ? id : undefined;
  }

  fix(time: number, x: number, y: number, z: number, accuracy: number, floor: number, battery: number): void {
    if (this.#device === undefined) return;
    if (this.#size >= this.#limit) throw new TooMany();
    if (this.#size >= this.#times.length) this.#grow();
    const index = this.#size;
    this.#times[index] = time;
    this.#xs[index] = x;
    this.#ys[index] = y;
    this.#more[4 * index] = z;
    this.#more[4 * index + 1] = accuracy;
    this.#more[4 * index + 2] = floor;
    this.#more[4 * index + 3] = battery;
    this.#size += 1;
  }

  finish(): Columns {
    this.#finishRun();
    const size = this.#size;
    const every4th = (offset: number): Float32Array => {
      const column = new Float32Array(size);
      for (let index = 0; index < size; index += 1) column[index] = this.#more[4 * index + offset] ?? NaN;
      return column;
    };
    return {
      times: this.#times.slice(0, size),
      xs: this.#xs.slice(0, size),
      ys: this.#ys.slice(0, size),
      zs: every4th(0),
      accuracies: every4th(1),
      floors: every4th(2),
      batteries: every4th(3),
      runs: this.#runs,
    };
  }

  #finishRun(): void {
    if (this.#device !== undefined && this.#size > this.#from) {
      this.#runs.set(this.#device, { from: this.#from, to: this.#size, hint: this.#from });
    }
    this.#from = this.#size;
  }

  #grow(): void {
    const size = 2 * this.#times.length;
    const grown = (column: Float64Array): Float64Array<ArrayBuffer> => {
      const wider = new Float64Array(size);
      wider.set(column);
      return wider;
    };
    this.#times = grown(this.#times);
    this.#xs = grown(this.#xs);
    this.#ys = grown(this.#ys);
    const more = new Float32Array(4 * size);
    more.set(this.#more);
    this.#more = more;
  }
}

const FIRST = 1_024;

/** The stretches that are loaded, in the order of time; no two overlap. */
export class Archive {
  #chunks: Chunk[] = [];
  readonly #limit: number;

  constructor(limit = ARCHIVE_FIXES_MAX) {
    this.#limit = limit;
  }

  get chunks(): readonly Chunk[] {
    return this.#chunks;
  }

  get fixes(): number {
    return this.#chunks.reduce((sum, { fixes }) => sum + fixes, 0);
  }

  clear(): void {
    this.#chunks = [];
  }

  /** Forgets the chunks that are not as `keep` wants them. */
  retain(keep: (chunk: Chunk) => boolean): void {
    this.#chunks = this.#chunks.filter(keep);
  }

  /** The chunk that knows this moment. */
  at(time: number): Chunk | undefined {
    const chunk = this.#chunks[this.#after(time) - 1];
    return chunk !== undefined && time < chunk.end ? chunk : undefined;
  }

  /** The first chunk that begins after this moment. */
  next(time: number): Chunk | undefined {
    return this.#chunks[this.#after(time)];
  }

  /** The last chunk that ends at this moment or before it. */
  previous(time: number): Chunk | undefined {
    return this.#chunks.findLast(({ end }) => end <= time);
  }

  /** Until when everything is known from this moment on: itself, when it is not. */
  knownUntil(time: number): number {
    let until = time;
    for (let chunk = this.at(until); chunk !== undefined; chunk = this.at(until)) until = chunk.end;
    return until;
  }

  /** Since when everything is known up to this moment. */
  knownSince(time: number): number {
    let since = this.at(time)?.start ?? time;
    for (let chunk = this.previous(since); chunk?.end === since; chunk = this.previous(since)) since = chunk.start;
    return since;
  }

  /** Takes a chunk; to stay within the bound, those farthest from `around` go. It is never the one around it. */
  add(chunk: Chunk, around: number): void {
    const index = this.#after(chunk.start);
    const before = this.#chunks[index - 1];
    const after = this.#chunks[index];
    if ((before !== undefined && before.end > chunk.start) || (after !== undefined && after.start < chunk.end)) {
      throw new RangeError('Two chunks overlap.');
    }
    this.#chunks.splice(index, 0, chunk);
    while (this.fixes > this.#limit && this.#chunks.length > 1) {
      const distance = ({ start, end }: Chunk): number => Math.max(start - around, around - end, 0);
      // What is behind is needed less than what is ahead.
      const cost = (one: Chunk): number => distance(one) * (one.end <= around ? 2 : 1);
      const farthest = this.#chunks.reduce((worst, one) => (cost(one) > cost(worst) ? one : worst));
      if (cost(farthest) === 0) return;
      this.#chunks.splice(this.#chunks.indexOf(farthest), 1);
    }
  }

  /** How many chunks begin at this moment or before it. */
  #after(time: number): number {
    let [low, high] = [0, this.#chunks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#chunks[middle]?.start ?? Infinity) <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
