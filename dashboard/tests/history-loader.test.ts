import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { restApi } from '../src/pages/history/api';
import { Player } from '../src/pages/history/player';

/** The page's replay against a scripted server: what it asks, in which order, and what it does with the answers. */

const T0 = Date.UTC(2026, 2, 1, 12);
const NOW = T0 + 3_600_000;
const HEADER = 'device_id,timestamp,received_at,x_m,y_m,z_m,accuracy_m,floor,battery_percent,source,site,sequence\r\n';

interface Asked {
  readonly path: string;
  readonly words: URLSearchParams;
  readonly signal: AbortSignal | null;
}

/** A server whose devices report once a second, at x = seconds since T0, in the times that it knows. */
class FakeServer {
  readonly asked: Asked[] = [];
  devices = ['a', 'b'];
  /** Reports from … until …, in seconds since T0. */
  times: readonly (readonly [number, number])[] = [[0, 600]];
  /** What the next exports answer instead. */
  readonly instead: ((asked: Asked) => Response | Promise<Response>)[] = [];

  readonly fetch = async (url: URL, options: RequestInit): Promise<Response> => {
    const asked = { path: url.pathname, words: url.searchParams, signal: options.signal ?? null };
    this.asked.push(asked);
    await Promise.resolve();
    options.signal?.throwIfAborted();
    if (url.pathname.endsWith('/density')) return Response.json(this.#density(asked.words));
    if (url.pathname.endsWith('/snapshot')) return Response.json(this.#snapshot(asked.words));
    const instead = this.instead.shift();
    return instead === undefined ? new Response(this.csv(asked.words)) : instead(asked);
  };

  exports(): string[] {
    return this.asked
      .filter(({ path }) => path.endsWith('/history'))
      .map(({ words }) => `${this.#at(words, 'start_time').toFixed(0)}–${this.#at(words, 'end_time').toFixed(0)}`);
  }

  csv(words: URLSearchParams): string {
    const [from, to] = [this.#at(words, 'start_time'), this.#at(words, 'end_time')];
    const every = Number(words.get('every_secs') ?? 1);
    let text = HEADER;
    for (const id of this.#wanted(words)) {
      for (const second of this.#seconds(from, to)) {
        if (second % every !== 0) continue;
        const time = new Date(T0 + second * 1_000).toISOString().replace('Z', '000Z');
        text += `${id},${time},${time},${String(second)},1,0,,,,test,,\r\n`;
      }
    }
    return text;
  }

  #density(words: URLSearchParams): object {
    const [from, to] = [this.#at(words, 'start_time'), this.#at(words, 'end_time')];
    const counts = Array<number>(Number(words.get('buckets'))).fill(0);
    const devices = this.#wanted(words).length;
    for (const second of this.#seconds(from, to)) {
      const index = Math.min(counts.length - 1, Math.floor(((second - from) / (to - from)) * counts.length));
      counts[index] = (counts[index] ?? 0) + devices;
    }
    return { counts, is_estimate: false, devices };
  }

  #snapshot(words: URLSearchParams): object {
    const at = this.#at(words, 'at');
    const age = Number(words.get('max_age_secs') ?? Infinity);
    const newest = [...this.#seconds(-Infinity, at)].at(-1);
    if (newest === undefined || at - newest > age) return { devices: [] };
    const timestamp = new Date(T0 + newest * 1_000).toISOString().replace('Z', '000Z');
    const location = { x: newest, y: 1, z: 0 };
    return { devices: this.devices.map((device_id) => ({ device_id, timestamp, location })) };
  }

  #wanted(words: URLSearchParams): string[] {
    const named = words.getAll('devices');
    return named.length === 0 ? this.devices : this.devices.filter((id) => named.includes(id));
  }

  *#seconds(from: number, to: number): IterableIterator<number> {
    for (const [start, end] of this.times) {
      for (let second = Math.max(start, Math.ceil(from)); second <= Math.min(end, to); second += 1) yield second;
    }
  }

  #at(words: URLSearchParams, name: string): number {
    return (Date.parse((words.get(name) ?? '').replace(/(\.\d{3})\d+/, '$1')) - T0) / 1_000;
  }
}

let server: FakeServer;
let frames: ((now: number) => void)[];
let clock: number;
let player: Player;
let selected: string | null;

beforeEach(() => {
  server = new FakeServer();
  frames = [];
  clock = 0;
  selected = null;
  vi.stubGlobal('location', { origin: 'http://anita.test', pathname: '/', hash: '' });
  vi.stubGlobal('fetch', server.fetch);
  vi.stubGlobal('requestAnimationFrame', (frame: (now: number) => void) => frames.push(frame));
  vi.stubGlobal('cancelAnimationFrame', () => {
    frames = [];
  });
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
  player = new Player(restApi, { now: () => NOW, named: () => ({ kind: 'tag' }), along: () => selected });
});

afterEach(() => {
  player.close();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** One picture later. */
function frame(ms: number): void {
  clock += ms;
  for (const one of frames.splice(0)) one(clock);
}

const range = (from: number, to: number): { start: number; end: number } => ({
  start: T0 + from * 1_000,
  end: T0 + to * 1_000,
});
const seconds = (): number => Math.round(player.instant - T0) / 1_000;
const xOf = (id: string): number | undefined => player.world.tracks.get(id)?.shownX;
/** Waits for what a busy machine does when it comes to it. */
const until = (look: () => void): Promise<void> => vi.waitFor(look, { timeout: 20_000 });
const shows = (x: number, id = 'a'): Promise<void> =>
  until(() => {
    expect(xOf(id)).toBeCloseTo(x, 3);
  });
const idle = (): Promise<void> =>
  until(() => {
    expect([player.density.value === null, player.loader.progress.value]).toEqual([false, null]);
  });

describe('the replay', () => {
  it('goes to the newest fix when nobody says where to begin, and loads what is around it', async () => {
    server.times = [[100, 200]];
    player.choose(range(0, 300));
    expect(seconds()).toBe(300);
    await shows(200);
    expect(seconds()).toBeCloseTo(200, 0);
    expect(player.present.value).toEqual(['a', 'b']);
  });

  it('stays where somebody has put it meanwhile', async () => {
    player.choose(range(0, 300));
    player.seek(T0 + 50_000);
    await shows(50);
    await idle();
    expect(seconds()).toBe(50);
  });

  it('goes to the moment that it is told, in the middle of a way', async () => {
    player.choose(range(0, 300), T0 + 120_250);
    await shows(120.25);
    expect(server.exports()).toEqual(['100–300']);
  });

  it('plays, waits for nothing that is loaded, and stays at the end', async () => {
    player.choose(range(0, 10), T0);
    await shows(0);
    player.play();
    for (const [ms, at] of [
      [100, 0.1],
      [200, 0.3],
      [250, 0.55],
    ] as const) {
      frame(ms);
      expect(seconds()).toBeCloseTo(at, 3);
      expect(xOf('a')).toBeCloseTo(at, 3);
    }
    player.setSpeed(60);
    frame(250);
    expect([seconds(), player.playing.value]).toEqual([10, false]);
    player.play();
    expect(seconds()).toBe(0);
  });

  it('begins again at its end when it is told to', async () => {
    player.choose(range(0, 10), T0 + 9_900);
    await shows(9.9);
    player.setLooping(true);
    player.play();
    frame(200);
    expect([seconds(), player.playing.value]).toEqual([0, true]);
  });

  it('waits where nothing is loaded yet, and goes on when it has come', async () => {
    let answer: ((response: Response) => void) | undefined;
    player.choose(range(0, 600), T0);
    await shows(0);
    await idle();
    player.archive.retain(() => false);
    server.instead.push(() => new Promise((done) => (answer = done)));
    player.play();
    frame(100);
    expect([player.waiting.value, seconds()]).toEqual([true, 0]);
    await until(() => {
      expect(answer).toBeDefined();
    });
    answer?.(new Response(server.csv(server.asked.at(-1)?.words ?? new URLSearchParams())));
    await idle();
    frame(100);
    expect(player.waiting.value).toBe(false);
    expect(seconds()).toBeCloseTo(0.1, 3);
  });

  it('calls off what it waits for when somebody goes elsewhere', async () => {
    server.times = [[0, 20_000]];
    server.devices = Array.from({ length: 30 }, (_, index) => `tag-${String(index)}`);
    server.instead.push(() => new Promise<Response>(() => undefined));
    player.choose(range(0, 20_000), T0 + 100_000);
    await until(() => {
      expect(server.exports()).toHaveLength(1);
    });
    const first = server.asked.find(({ path }) => path.endsWith('/history'));
    // A step within what is under way changes nothing.
    player.seek(T0 + 101_000);
    expect(first?.signal?.aborted).toBe(false);
    player.seek(T0 + 19_000_000);
    expect(first?.signal?.aborted).toBe(true);
    await shows(19_000, 'tag-3');
  });

  it('steps from fix to fix, of the selected device where there is one', async () => {
    player.choose(range(0, 300), T0 + 50_500);
    await shows(50.5);
    player.step('forward');
    expect([seconds(), xOf('a')]).toEqual([51, 51]);
    player.step('back');
    expect(seconds()).toBe(50);
    selected = 'nobody';
    player.step('forward');
    await until(() => {
      expect(player.stepEnded.value).toBe('forward');
    });
    expect(seconds()).toBe(50);
  });

  it('steps over a long time without fixes, without loading it', async () => {
    server.times = [
      [0, 10],
      [3_000, 3_010],
    ];
    player.choose(range(0, 3_400), T0 + 10_000);
    await shows(10);
    await idle();
    player.step('forward');
    await until(() => {
      expect(seconds()).toBe(3_000);
    });
    player.step('back');
    await until(() => {
      expect(seconds()).toBe(10);
    });
    expect(server.exports().length).toBeLessThanOrEqual(3);
  });

  it('shows only the devices that were chosen, and asks for no others', async () => {
    player.choose(range(0, 300), T0 + 60_000);
    await shows(60);
    player.show(['b']);
    await shows(60, 'b');
    expect([...player.world.tracks.keys()]).toEqual(['b']);
    expect(server.asked.at(-1)?.words.getAll('devices') ?? []).not.toContain('a');
    const told = server.asked.filter(({ path }) => /history|density/.test(path)).slice(-2);
    for (const { words } of told) expect(words.getAll('devices')).toEqual(['b']);
  });

  it('thins what would be too much, says so, and has all of it again when it plays slower', async () => {
    server.devices = Array.from({ length: 700 }, (_, index) => `tag-${String(index)}`);
    player.choose(range(0, 60), T0);
    await shows(0, 'tag-3');
    expect(player.everyMs.value).toBe(0);
    await idle();
    player.setSpeed(60);
    expect(player.everyMs.value).toBe(5_000);
    player.archive.retain(() => false);
    player.seek(T0 + 30_000);
    await shows(30, 'tag-3');
    expect(server.asked.at(-1)?.words.get('every_secs')).toBe('5');
    await idle();
    player.setSpeed(1);
    await until(() => {
      expect(player.archive.at(player.instant)?.everyMs).toBe(0);
    });
  });

  it('says where there is something when a range has nothing', async () => {
    server.times = [
      [0, 100],
      [2_000, 2_100],
    ];
    player.choose(range(500, 1_000));
    await until(() => {
      expect(player.elsewhere.value).not.toBeNull();
    });
    expect(player.elsewhere.value?.before).toBe(T0 + 100_000);
    const after = player.elsewhere.value?.after ?? 0;
    expect(after).toBeGreaterThan(T0 + 1_980_000);
    expect(after).toBeLessThanOrEqual(T0 + 2_000_000);
    expect(player.present.value).toEqual([]);
  });

  it('zooms into a part of the range, and back', async () => {
    player.choose(range(0, 600), T0 + 30_000);
    await idle();
    player.zoom(T0 + 100_000, T0 + 20_000);
    expect(player.range.value).toEqual(range(20, 100));
    expect(seconds()).toBe(30);
    player.zoom(T0 + 50_000, T0 + 60_000);
    expect(seconds()).toBe(50);
    player.goBack();
    player.goBack();
    expect([player.range.value, player.canGoBack.value]).toEqual([range(0, 600), false]);
    await shows(50);
  });

  it('loads again what was loaded while it happened', async () => {
    const now = range(0, 3_600);
    player.choose(now, now.end);
    await idle();
    const before = server.exports().length;
    player.choose(now, now.end);
    await idle();
    expect(server.exports().length).toBeGreaterThan(before);
  });
});

const problem = (status: number, body: object): Response =>
  Response.json(body, { status, headers: { 'content-type': 'application/problem+json' } });

describe('when the server refuses', () => {
  it('the reader is told why and what to do, and may try again', async () => {
    server.instead.push(() =>
      problem(503, { code: 'store_unavailable', detail: 'The store does not answer.', remedy: 'Look at the disk.' }),
    );
    player.choose(range(0, 300), T0 + 60_000);
    await until(() => {
      expect(player.loader.trouble.value).not.toBeNull();
    });
    const trouble = player.loader.trouble.value;
    expect(trouble?.retryAt).toBeNull();
    expect([trouble?.problem.code, trouble?.problem.message, trouble?.problem.remedy]).toEqual([
      'store_unavailable',
      'The store does not answer.',
      'Look at the disk.',
    ]);
    player.retry();
    await shows(60);
    expect(player.loader.trouble.value).toBeNull();
  });

  it('and says when it may be asked again, it is asked then', async () => {
    server.instead.push(() => problem(429, { code: 'rate_limited', detail: 'Too many.', retry_after_ms: 20 }));
    player.choose(range(0, 300), T0 + 60_000);
    await shows(60);
    expect(server.exports()).toHaveLength(2);
  });

  it('again and again, it is not asked for ever', async () => {
    for (let time = 0; time < 10; time += 1) {
      server.instead.push(() => problem(429, { code: 'rate_limited', detail: 'Too many.', retry_after_ms: 1 }));
    }
    player.choose(range(0, 300), T0 + 60_000);
    await until(() => {
      expect(player.loader.trouble.value?.retryAt).toBeNull();
    });
    expect(server.exports()).toHaveLength(4);
  });

  it('in the middle of a transfer, nothing of it is shown', async () => {
    server.instead.push(({ words }) => new Response(server.csv(words).slice(0, -20)));
    player.choose(range(0, 300), T0 + 60_000);
    await until(() => {
      expect(player.loader.trouble.value?.problem.code).toBe('broken_off');
    });
    expect(player.archive.fixes).toBe(0);
    player.retry();
    await shows(60);
  });

  it('the strip, that is said as well', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(problem(403, { code: 'forbidden', detail: 'Not allowed.' })));
    player.choose(range(0, 300));
    await until(() => {
      expect(player.densityProblem.value?.code).toBe('forbidden');
    });
    vi.stubGlobal('fetch', server.fetch);
    player.retry();
    await shows(300);
  });
});

describe('memory', () => {
  it('holds no more than its bound, however much was played', async () => {
    // More than one stretch holds at once: it is asked for in smaller ones.
    server.devices = Array.from({ length: 100 }, (_, index) => `tag-${String(index)}`);
    server.times = [[0, 3_000]];
    const tooMany = (words: URLSearchParams): Response => {
      const line = server.csv(words).split('\r\n')[1] ?? '';
      return new Response(HEADER + `${line}\r\n`.repeat(250_001));
    };
    server.instead.push(({ words }) => tooMany(words));
    player.choose(range(0, 3_000), T0 + 60_000);
    await shows(60, 'tag-3');
    const [first, second] = server.exports();
    expect(first).not.toBe(second);
    expect(player.archive.fixes).toBeLessThan(300_000);
  });
});
