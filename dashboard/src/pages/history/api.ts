import { parseTime } from '../../time';
import { call, Problem } from '../../session';
import { ColumnsBuilder, type Columns, type PastFix } from './archive';
import { FixReader, NotAnExport } from './csv';
import type { Density } from './plan';
import type { Range } from './replay';

/** What is asked of the server about the past. Everything can be called off. */

export interface PastApi {
  /** How many fixes there are in each part of the range. */
  density(range: Range, devices: readonly string[] | null, buckets: number, signal: AbortSignal): Promise<Density>;
  /** The newest fix of each device at a moment or before it, not older than `maxAgeMs`. */
  newest(at: number, maxAgeMs: number | undefined, signal: AbortSignal): Promise<Map<string, PastFix>>;
  /** Everything within `[start, end)`. */
  fixes(asked: Asked, progress: (fixes: number) => void, signal: AbortSignal): Promise<Columns>;
}

export interface Asked extends Range {
  readonly everyMs: number;
  /** `null` for all. */
  readonly devices: readonly string[] | null;
}

/** Pages of a snapshot, of a thousand devices each. */
const SNAPSHOT_PAGES_MAX = 20;
/** For so long what came is read before the page gets its turn, in milliseconds. */
const TURN_MS = 6;

export const restApi: PastApi = {
  async density({ start, end }, devices, buckets, signal) {
    const words = new URLSearchParams({ start_time: iso(start), end_time: iso(end), buckets: String(buckets) });
    name(words, devices);
    const answer = (await (await get('api/v1/density', words, signal)).json()) as {
      counts?: unknown;
      is_estimate?: unknown;
      devices?: unknown;
    };
    const counts = Array.isArray(answer.counts) ? answer.counts.map(Number) : [];
    return {
      start,
      end,
      counts,
      isEstimate: answer.is_estimate === true,
      devices: typeof answer.devices === 'number' ? answer.devices : 0,
    };
  },

  async newest(moment, maxAgeMs, signal) {
    const found = new Map<string, PastFix>();
    const words = new URLSearchParams({ at: iso(moment) });
    if (maxAgeMs !== undefined) words.set('max_age_secs', String(maxAgeMs / 1_000));
    for (let page = 0; page < SNAPSHOT_PAGES_MAX; page += 1) {
      const answer = (await (await get('api/v1/snapshot', words, signal)).json()) as SnapshotPage;
      for (const { device_id: id, timestamp, location, accuracy, floor, battery } of answer.devices ?? []) {
        const time = exactTime(timestamp);
        if (time === undefined) continue;
        found.set(id, {
          time,
          x: location.x,
          y: location.y,
          z: location.z,
          accuracy: accuracy ?? NaN,
          floor: floor ?? NaN,
          battery: battery ?? NaN,
          pauseMs: 0,
        });
      }
      if (answer.next === undefined) break;
      words.set('after', answer.next);
    }
    return found;
  },

  async fixes({ start, end, everyMs, devices }, progress, signal) {
    // Both ends of a range belong to it, as the server understands it.
    const words = new URLSearchParams({ format: 'csv', start_time: iso(start), end_time: iso(end, -1) });
    if (everyMs > 0) words.set('every_secs', String(everyMs / 1_000));
    name(words, devices);
    const wanted = devices === null ? undefined : new Set(devices);
    const builder = new ColumnsBuilder(wanted === undefined ? undefined : (id) => wanted.has(id));
    const reader = new FixReader(builder);
    const { body } = await get('api/v1/history', words, signal);
    if (body === null) throw brokenOff();
    let turn = performance.now();
    try {
      const stream = body.getReader();
      for (;;) {
        const { done, value } = await stream.read();
        if (done) break;
        reader.push(value);
        if (performance.now() - turn < TURN_MS) continue;
        progress(builder.fixes);
        await new Promise((goOn) => setTimeout(goOn));
        signal.throwIfAborted();
        turn = performance.now();
      }
      reader.end();
    } catch (error) {
      signal.throwIfAborted();
      // A transfer that breaks off is a TypeError of the browser, or ends within a line.
      if (error instanceof TypeError || error instanceof NotAnExport) throw brokenOff();
      throw error;
    }
    return builder.finish();
  },
};

interface SnapshotPage {
  readonly devices?: readonly {
    readonly device_id: string;
    readonly timestamp: string;
    readonly location: { readonly x: number; readonly y: number; readonly z: number };
    readonly accuracy?: number;
    readonly floor?: number;
    readonly battery?: number;
  }[];
  readonly next?: string;
}

const brokenOff = (): Problem =>
  new Problem(
    0,
    'broken_off',
    'The server broke off while it sent the past.',
    'Try again; if it stays, look into the server’s log.',
  );

const get = (path: string, words: URLSearchParams, signal: AbortSignal): Promise<Response> =>
  call('GET', `${path}?${words.toString()}`, undefined, signal);

/** A list is cut at commas, and these signs make a pattern; a pattern also finds the device that is meant. */
function name(words: URLSearchParams, devices: readonly string[] | null): void {
  for (const id of devices ?? []) words.append('devices', id.replace(/[,[\]{}\\]/g, '?'));
}

/** A moment in whole microseconds, moved by some. */
function iso(time: number, micros = 0): string {
  const whole = Math.round(time * 1_000) + micros;
  const ms = Math.floor(whole / 1_000);
  return new Date(ms).toISOString().replace('Z', `${String(whole - ms * 1_000).padStart(3, '0')}Z`);
}

/** Milliseconds with the microseconds as their fraction, as the export's times are read. */
function exactTime(text: string): number | undefined {
  const ms = parseTime(text);
  const micros = /\.\d{3}(\d{3})Z$/.exec(text)?.[1];
  return ms === undefined || micros === undefined ? ms : Math.round(ms * 1_000 + Number(micros)) / 1_000;
}
