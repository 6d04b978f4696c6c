import { batch, computed, signal, type ReadonlySignal } from '@preact/signals';

import { Problem } from '../../session';
import type { PastApi } from './api';
import { Archive, type Chunk } from './archive';
import { Loader, type Wanted } from './loader';
import { PastWorld, type Named } from './past';
import { BEHIND_MS, firstOf, partsOf, skip, spacingFor, tidyRange, total, type Density } from './plan';
import { advance, clampTo, stepFrom, TICK, type Range, type Speed, type Step } from './replay';

/** What is said of the instant, and the hand of the strip, follow at this pace while it plays. */
const SAY_MS = 80;
/** More devices than this move at the pace at which the map paints so many, and not with every frame. */
const MANY = 500;
const MANY_MS = 25;
/** A page that was away for longer goes on where it was. */
const FRAME_MS_MAX = 250;
/** A stretch that was loaded so soon after its end may lack fixes that came late. */
const LATE_MS = 10_000;
/** So many ranges can be gone back to. */
const RANGES_MAX = 20;

/** Where there is something to see, when a range has nothing. */
export interface Elsewhere {
  /** The newest fix before the range, and the first part after it that has one; `null` where there is none. */
  readonly before: number | null;
  readonly after: number | null;
}

export type Stepping = 'forward' | 'back';

/** The replay: its range, its hand, and what it plays. */
export class Player {
  readonly range = signal<Range>({ start: 0, end: 1_000 });
  /** Where the hand stands, as it is said: while it plays, a little behind `instant`. */
  readonly shown = signal(0);
  readonly playing = signal(false);
  /** It plays, but what comes next is not loaded yet. */
  readonly waiting = signal(false);
  readonly speed = signal<Speed>(1);
  readonly looping = signal(false);
  /** Which devices; `null` for all. */
  readonly devices = signal<readonly string[] | null>(null);
  readonly density = signal<Density | null>(null);
  /** Why there is no strip. */
  readonly densityProblem = signal<Problem | null>(null);
  /** The devices that reported within the range; `null` while nobody knows. */
  readonly present = signal<readonly string[] | null>(null);
  readonly elsewhere = signal<Elsewhere | null>(null);
  /** A step from fix to fix is on its way, or came to the end of the range. */
  readonly stepping = signal<Stepping | null>(null);
  readonly stepEnded = signal<Stepping | null>(null);
  /** Fixes nearer to each other than this are left out, in milliseconds; 0 for none. */
  readonly everyMs: ReadonlySignal<number> = computed(() => {
    const density = this.density.value;
    return density === null ? 0 : spacingFor(density, this.speed.value);
  });
  readonly canGoBack = signal(false);
  /** Called when the picture is of another moment at once, and not of the next one. */
  onJump: (() => void) | undefined;
  readonly archive = new Archive();
  readonly world: PastWorld;
  readonly loader: Loader;
  readonly #api: PastApi;
  readonly #now: () => number;
  /** Which device a step goes along, when it is not all. */
  readonly #along: () => string | null;
  #instant = 0;
  #saidAt = -Infinity;
  #movedAt = -Infinity;
  #frame = 0;
  #frameAt = 0;
  #asking: AbortController | undefined;
  #ranges: Range[] = [];
  /** Until when, by the server's clock, what is loaded may be incomplete. */
  readonly #loadedAt = new WeakMap<Chunk, number>();

  constructor(
    api: PastApi,
    { now, named, along }: { now: () => number; named: (id: string) => Named | undefined; along: () => string | null },
  ) {
    this.#api = api;
    this.#now = now;
    this.#along = along;
    this.world = new PastWorld(this.archive, named);
    this.loader = new Loader(api, this.archive, (id) => (named(id)?.kind ?? 'tag') !== 'tag');
    this.loader.follow(() => this.#wanted());
    this.loader.onChunk = (chunk) => {
      this.#loadedAt.set(chunk, this.#now());
      // Trails that began where nothing was known go on from there.
      this.world.renew();
      if (Number.isNaN(this.world.instant)) this.world.show(this.#instant);
      if (chunk.start <= this.#instant) this.onJump?.();
      if (this.stepping.peek() !== null) this.#stepOn();
    };
  }

  /** The moment that is shown. */
  get instant(): number {
    return this.#instant;
  }

  /** Opens a range; the hand stands at `instant`, or where the newest fix is. */
  open(range: Range, instant: number | null = null): void {
    this.pause();
    this.stepping.value = this.stepEnded.value = null;
    const now = this.#now();
    // What was loaded while it still happened is not all of it.
    this.archive.retain((chunk) => (this.#loadedAt.get(chunk) ?? now) > chunk.end + LATE_MS);
    batch(() => {
      this.range.value = range;
      this.#place(instant === null ? range.end : clampTo(instant, range));
    });
    void this.#ask(instant === null);
  }

  /** A part of the range, to be gone back from. */
  zoom(one: number, other: number): void {
    const range = tidyRange(clampTo(one, this.range.peek()), clampTo(other, this.range.peek()));
    this.#ranges = [...this.#ranges, this.range.peek()].slice(-RANGES_MAX);
    this.canGoBack.value = true;
    this.open(range, clampTo(this.#instant, range));
  }

  goBack(): void {
    const range = this.#ranges.pop();
    this.canGoBack.value = this.#ranges.length > 0;
    if (range !== undefined) this.open(range, this.#instant);
  }

  /** A range of its own, that nobody zoomed into. */
  choose(range: Range, instant: number | null = null): void {
    this.#ranges = [];
    this.canGoBack.value = false;
    this.open(range, instant);
  }

  show(devices: readonly string[] | null): void {
    this.devices.value = devices;
    this.#forget();
    void this.#ask(false);
  }

  /** The server is asked again for what it refused. */
  retry(): void {
    if (this.densityProblem.peek() !== null) void this.#ask(false);
    else this.loader.retry();
  }

  seek(instant: number): void {
    this.stepping.value = this.stepEnded.value = null;
    this.#place(clampTo(instant, this.range.peek()));
    this.loader.check();
  }

  /** One fix on, or back. */
  step(direction: Stepping): void {
    this.pause();
    this.stepEnded.value = null;
    this.stepping.value = direction;
    this.#stepOn();
  }

  play(): void {
    if (this.playing.peek()) return;
    if (this.#instant >= this.range.peek().end) this.#place(this.range.peek().start);
    this.stepping.value = this.stepEnded.value = null;
    this.playing.value = true;
    this.#frameAt = performance.now();
    this.#next();
    this.loader.check();
  }

  pause(): void {
    // The last picture may be a little behind.
    if (this.playing.peek() && this.world.instant !== this.#instant) this.world.show(this.#instant);
    this.playing.value = this.waiting.value = false;
    cancelAnimationFrame(this.#frame);
    this.shown.value = this.#instant;
  }

  setSpeed(speed: Speed): void {
    const before = this.everyMs.peek();
    this.speed.value = speed;
    if (this.everyMs.peek() < before) {
      // What was left out is wanted now.
      this.archive.retain(({ everyMs }) => everyMs <= this.everyMs.peek());
      this.loader.stop();
      this.#place(this.#instant);
    }
    this.loader.check();
  }

  setLooping(isLooping: boolean): void {
    this.looping.value = isLooping;
    this.loader.check();
  }

  setTrail(ms: number): void {
    this.world.trailMs = ms;
    this.world.renew();
  }

  /** Nobody looks any more. */
  close(): void {
    this.pause();
    this.#asking?.abort();
    this.loader.stop();
    this.archive.clear();
    this.world.clear();
  }

  #wanted(): Wanted | undefined {
    const density = this.density.peek();
    if (density === null) return undefined;
    // A step may lead to what is far from the hand.
    const hunt = this.#hunt;
    return {
      density,
      instant: hunt?.at ?? this.#instant,
      behindMs: hunt?.behindMs ?? BEHIND_MS,
      range: this.range.peek(),
      speed: this.speed.peek(),
      isLooping: this.looping.peek() && this.playing.peek(),
      everyMs: this.everyMs.peek(),
      share: this.loader.share,
      devices: this.devices.peek(),
    };
  }

  /** What a step looks for is not loaded yet: where it goes on, and how much before that is wanted. */
  #hunt: { readonly at: number; readonly behindMs: number } | undefined;

  #stepOn(): void {
    const stepping = this.stepping.peek();
    const density = this.density.peek();
    if (stepping === null || density === null) return;
    const direction = stepping === 'forward' ? 1 : -1;
    const along = this.#along();
    const ids = along === null ? undefined : [along];
    const hunt = this.#hunt;
    this.#hunt = undefined;
    const look = (from?: number): Step =>
      stepFrom(this.archive, this.#instant, direction, this.range.peek(), ids, from);
    let step = look(hunt?.at);
    // What surely has no fixes need not be loaded; beyond it something may be that is.
    while (step !== undefined && 'unknown' in step && !density.isEstimate) {
      const at = skip(density, step.unknown, direction);
      const isKnown = at !== undefined && this.archive.at(direction === 1 ? at : at - TICK) !== undefined;
      step = at === undefined ? undefined : isKnown ? look(at) : { unknown: at };
      if (!isKnown) break;
    }
    if (step === undefined) {
      this.stepEnded.value = stepping;
      this.stepping.value = null;
    } else if ('to' in step) {
      this.stepping.value = null;
      this.#place(step.to);
    } else {
      // Where there is nothing for long, larger stretches are looked through.
      this.#hunt = { at: step.unknown, behindMs: hunt === undefined ? BEHIND_MS : 2 * hunt.behindMs };
    }
    this.loader.check();
  }

  #next(): void {
    this.#frame = requestAnimationFrame((now) => {
      this.#tick(now);
    });
  }

  #tick(now: number): void {
    const elapsed = Math.min(FRAME_MS_MAX, Math.max(0, now - this.#frameAt));
    this.#frameAt = now;
    const hand = advance(this.#instant, elapsed, {
      speed: this.speed.peek(),
      range: this.range.peek(),
      isLooping: this.looping.peek(),
      knownUntil: this.archive.knownUntil(this.#instant),
    });
    this.#instant = hand.instant;
    const pace = this.world.tracks.size > MANY ? MANY_MS : 0;
    if (hand.looped || now - this.#movedAt >= pace) {
      this.#movedAt = now;
      this.world.show(hand.instant);
    }
    if (hand.looped) this.onJump?.();
    this.waiting.value = hand.waits;
    if (hand.isOver) {
      this.pause();
      return;
    }
    if (hand.looped || now - this.#saidAt >= SAY_MS) {
      this.#saidAt = now;
      this.shown.value = hand.instant;
      this.loader.check();
    }
    this.#next();
  }

  #place(instant: number): void {
    this.#hunt = undefined;
    this.#instant = instant;
    this.shown.value = instant;
    this.world.show(instant);
    this.onJump?.();
  }

  #forget(): void {
    this.loader.stop();
    this.archive.clear();
    this.world.clear();
  }

  /** Asks what there is in the range, and goes to its newest fix when nobody said where to begin. */
  async #ask(isAnywhere: boolean): Promise<void> {
    this.#asking?.abort();
    this.loader.stop();
    const asking = new AbortController();
    this.#asking = asking;
    const range = this.range.peek();
    const devices = this.devices.peek();
    batch(() => {
      this.density.value = null;
      this.densityProblem.value = null;
      this.present.value = null;
      this.elsewhere.value = null;
    });
    try {
      const [density, newest] = await Promise.all([
        this.#api.density(range, devices, partsOf(range), asking.signal),
        this.#api.newest(range.end, range.end - range.start, asking.signal),
      ]);
      asking.signal.throwIfAborted();
      batch(() => {
        this.density.value = density;
        this.present.value = [...newest.keys()].sort();
        // Unless somebody has moved it meanwhile.
        const times = newestOf(newest, devices);
        if (isAnywhere && times.length > 0 && this.#instant === range.end) this.#place(Math.max(...times));
      });
      this.loader.check();
      if (total(density) === 0) this.elsewhere.value = await this.#findElsewhere(range, devices, asking.signal);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.densityProblem.value =
        error instanceof Problem
          ? error
          : new Problem(0, 'internal', String(error), 'Reload the page; if it stays, report it.');
    }
  }

  async #findElsewhere(range: Range, devices: readonly string[] | null, stop: AbortSignal): Promise<Elsewhere> {
    const times = newestOf(await this.#api.newest(range.start, undefined, stop), devices);
    const before = times.length === 0 ? null : Math.max(...times);
    const now = this.#now();
    if (now - range.end < 1_000) return { before, after: null };
    const rest = { start: range.end, end: now };
    const later = await this.#api.density(rest, devices, partsOf(rest), stop);
    return { before, after: firstOf(later) ?? null };
  }
}

/** When each of the devices was last heard of. */
const newestOf = (fixes: ReadonlyMap<string, { readonly time: number }>, devices: readonly string[] | null): number[] =>
  [...fixes].flatMap(([id, { time }]) => (devices?.includes(id) === false ? [] : [time]));
