import { signal } from '@preact/signals';

import { Problem } from '../../session';
import type { PastApi } from './api';
import { type Archive, Chunk, TooMany, type PastFix } from './archive';
import { expected, nextPiece, type Density, type Needs, type Piece } from './plan';
import { goneAfter } from './replay';

/** What is under way. */
export interface Progress {
  readonly piece: Piece;
  readonly fixes: number;
  /** How many there will be, about. */
  readonly of: number;
}

/** Somebody has to wait, or has to act. */
export interface Trouble {
  readonly problem: Problem;
  /** When it is tried again by itself, on this computer's clock; `null` when somebody has to ask for it. */
  readonly retryAt: number | null;
}

/** So often a refusal that says when to come back is obeyed in a row. */
const RETRIES_MAX = 3;
/** Smaller than this share of the plan chunks do not get. */
const SHARE_MIN = 1 / 256;

export interface Wanted extends Needs {
  readonly density: Density;
  /** `null` for all. */
  readonly devices: readonly string[] | null;
}

/** Loads the past ahead of the hand, one stretch at a time, into the archive. */
export class Loader {
  readonly progress = signal<Progress | null>(null);
  readonly trouble = signal<Trouble | null>(null);
  /** Called when a stretch has come. */
  onChunk: ((chunk: Chunk) => void) | undefined;
  readonly #api: PastApi;
  readonly #archive: Archive;
  readonly #isFixed: (id: string) => boolean;
  #wanted: (() => Wanted | undefined) | undefined;
  #running: { readonly piece: Piece; readonly stop: AbortController } | undefined;
  #share = 1;
  #retries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** What is `isFixed` hangs on a wall: where it was said long ago is where it is. */
  constructor(api: PastApi, archive: Archive, isFixed: (id: string) => boolean) {
    this.#api = api;
    this.#archive = archive;
    this.#isFixed = isFixed;
  }

  /** How much smaller than planned chunks are asked for, after one was too large. */
  get share(): number {
    return this.#share;
  }

  /** Loads what is wanted, from now on; asked again after every stretch. */
  follow(wanted: () => Wanted | undefined): void {
    this.#wanted = wanted;
  }

  /** The hand has moved, or something else that decides what is needed. */
  check(): void {
    const wanted = this.#wanted?.();
    if (wanted === undefined || this.trouble.peek() !== null) return;
    const piece = nextPiece(this.#archive, wanted.density, wanted);
    if (this.#running !== undefined) {
      const { piece: present, stop } = this.#running;
      const isInIt = wanted.instant >= present.start && wanted.instant < present.end;
      if (piece?.isUrgent !== true || isInIt) return;
      // The hand is elsewhere: what is under way is not what is missed.
      stop.abort();
      this.#running = undefined;
    }
    if (piece !== undefined) void this.#load(piece, wanted);
  }

  /** Calls off what is under way, and forgets what went wrong. */
  stop(): void {
    this.#running?.stop.abort();
    this.#running = undefined;
    clearTimeout(this.#timer);
    this.#retries = 0;
    this.#share = 1;
    this.progress.value = null;
    this.trouble.value = null;
  }

  /** Does not wait. */
  retry(): void {
    clearTimeout(this.#timer);
    this.trouble.value = null;
    this.check();
  }

  async #load(piece: Piece, wanted: Wanted): Promise<void> {
    const stop = new AbortController();
    const running = { piece, stop };
    this.#running = running;
    const { everyMs, devices } = wanted;
    const of = expected(wanted.density, piece, everyMs);
    this.progress.value = { piece, fixes: 0, of };
    try {
      const before = await this.#before(piece, devices, stop.signal);
      const told = (fixes: number): void => {
        if (this.#running === running) this.progress.value = { piece, fixes, of };
      };
      const columns = await this.#api.fixes({ ...piece, everyMs, devices }, told, stop.signal);
      if (this.#running !== running) return;
      this.#running = undefined;
      this.#retries = 0;
      this.progress.value = null;
      const chunk = new Chunk(piece.start, piece.end, everyMs, columns, before);
      this.#archive.add(chunk, this.#wanted?.()?.instant ?? piece.start);
      this.onChunk?.(chunk);
    } catch (error) {
      if (this.#running !== running) return;
      // Also what is still on its way, when it was too much.
      stop.abort();
      this.#running = undefined;
      this.progress.value = null;
      if (error instanceof TooMany && this.#share > SHARE_MIN) this.#share /= 2;
      else this.#fail(error);
    }
    this.check();
  }

  /** Where devices were when the stretch begins: as the one before it ends, or as the server says. */
  async #before(
    { start }: Piece,
    devices: readonly string[] | null,
    stop: AbortSignal,
  ): Promise<ReadonlyMap<string, PastFix>> {
    const before = this.#archive.previous(start);
    const wanted = devices === null ? undefined : new Set(devices);
    const newest = before?.end === start ? before.atEnd() : await this.#api.newest(start - 0.001, undefined, stop);
    for (const [id, fix] of newest) {
      const isGone = !this.#isFixed(id) && start - fix.time > goneAfter(fix.pauseMs);
      if (isGone || wanted?.has(id) === false) newest.delete(id);
    }
    return newest;
  }

  #fail(error: unknown): void {
    const problem =
      error instanceof Problem
        ? error
        : error instanceof TooMany
          ? new Problem(
              0,
              'too_many',
              'There are more fixes in a second than this page can hold.',
              'Choose fewer devices, or a higher speed: then fixes are left out.',
            )
          : new Problem(0, 'internal', String(error), 'Reload the page; if it stays, report it.');
    this.#retries += 1;
    const { retryAfterMs } = problem;
    if (retryAfterMs === undefined || this.#retries > RETRIES_MAX) {
      this.trouble.value = { problem, retryAt: null };
      return;
    }
    this.trouble.value = { problem, retryAt: Date.now() + retryAfterMs };
    this.#timer = setTimeout(() => {
      this.retry();
    }, retryAfterMs);
  }
}
