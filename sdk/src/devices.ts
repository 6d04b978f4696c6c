import { Emitter, type ListenOptions } from './emitter.js';
import { AnitaError } from './errors.js';
import type { Requests, ServerMessages } from './wire.gen.js';

/** A device, as `uwb.device_list` tells it. Each change makes a new object, so that `===` tells whether it changed. */
export type Device = ServerMessages['uwb.device_list']['devices'][number];

/** All devices that the client may see, kept up to date. */
export interface DeviceMap extends ReadonlyMap<string, Device> {
  /** Tells which devices changed, came or went: once a frame in a page, once a turn elsewhere. */
  on(type: 'change', handler: (ids: Set<string>) => unknown, options?: ListenOptions): () => void;
}

type Told =
  | 'uwb.device_list'
  | 'uwb.location'
  | 'uwb.position_update'
  | 'uwb.device_registered'
  | 'device.status'
  | 'device.updated'
  | 'device.removed';

/** What the map needs of the client. */
export interface DevicesPort {
  on<Type extends Told>(type: Type, handler: (payload: ServerMessages[Type]) => void): unknown;
  on(type: 'open' | 'gap', handler: () => void): unknown;
  request(
    name: 'get_active_devices',
    payload: Requests['get_active_devices']['payload'],
  ): Promise<ServerMessages['uwb.device_list']>;
}

const RETRY_MS = 2_000;

export class Devices extends Map<string, Device> implements DeviceMap {
  readonly #port: DevicesPort;
  readonly #events = new Emitter<{ change: [ids: Set<string>] }>();
  #changed = new Set<string>();
  /** The devices heard of since the list was asked for; `undefined` when it isn't. */
  #heard: Set<string> | undefined;
  #run = 0;

  constructor(port: DevicesPort, isOnline: boolean) {
    super();
    this.#port = port;
    port.on('uwb.device_list', ({ devices }) => {
      for (const device of devices) this.#list(device);
    });
    port.on('uwb.location', ({ device_id, ...fix }) => {
      const { accuracy, floor, site, ...known } = this.#known(device_id);
      // The answer to a question may be older than what was pushed meanwhile.
      if (known.timestamp !== undefined && known.timestamp > fix.timestamp) return;
      this.#put({ ...known, ...fix, last_seen: fix.received_at });
    });
    port.on('uwb.position_update', ({ positions, timestamp, playback }) => {
      if (playback !== undefined) return; // The past.
      for (const [id, { x, y, z, ...more }] of Object.entries(positions)) {
        const told = { location: { x, y, z }, received_at: timestamp, last_seen: timestamp };
        this.#put({ ...this.#known(id), ...more, ...told });
      }
    });
    port.on('uwb.device_registered', ({ device_id, initial_location }) => {
      // Its status may have been told before this answer.
      const known = this.#known(device_id);
      if (known.location === null) this.#put({ ...known, location: initial_location });
    });
    port.on('device.status', ({ device_id, ...status }) => {
      this.#put({ ...this.#known(device_id), ...status });
    });
    port.on('device.updated', ({ device }) => {
      this.#put(device);
    });
    port.on('device.removed', ({ device_id }) => {
      if (this.delete(device_id)) this.#change(device_id);
    });
    port.on('open', () => void this.#fill());
    port.on('gap', () => void this.#fill());
    if (isOnline) void this.#fill();
  }

  on(type: 'change', handler: (ids: Set<string>) => unknown, options?: ListenOptions): () => void {
    return this.#events.on(type, handler, options);
  }

  /** Reads all pages of the list, then drops what is neither on them nor heard of meanwhile. */
  async #fill(): Promise<void> {
    const run = ++this.#run;
    const heard = (this.#heard = new Set<string>());
    const listed = new Set<string>();
    try {
      let after: string | undefined;
      do {
        const page = await this.#port.request('get_active_devices', after === undefined ? {} : { after });
        if (run !== this.#run) return;
        for (const { id } of page.devices) listed.add(id);
        after = page.next;
      } while (after !== undefined);
      for (const id of this.keys()) {
        if (listed.has(id) || heard.has(id)) continue;
        this.delete(id);
        this.#change(id);
      }
    } catch (thrown) {
      // Failures are told as `error` events; a lost connection is followed by another fill.
      if (!(thrown instanceof AnitaError) || !thrown.retryable || thrown.kind === 'connection') return;
      setTimeout(() => {
        if (run === this.#run) void this.#fill();
      }, thrown.retryAfterMs ?? RETRY_MS);
    } finally {
      if (run === this.#run) this.#heard = undefined;
    }
  }

  /** Takes an entry of the list; a newer location that was pushed meanwhile stays. */
  #list(device: Device): void {
    const known = this.get(device.id);
    if (known?.timestamp !== undefined && known.timestamp > (device.timestamp ?? '')) {
      const { location, timestamp, received_at, accuracy, floor, ...listed } = device;
      device = { ...known, ...listed };
    }
    this.set(device.id, device);
    this.#change(device.id);
  }

  #known(id: string): Device {
    return this.get(id) ?? { id, kind: 'tag', status: 'connected', last_seen: null, location: null };
  }

  #put(device: Device): void {
    this.set(device.id, device);
    this.#heard?.add(device.id);
    this.#change(device.id);
  }

  #change(id: string): void {
    this.#changed.add(id);
    if (this.#changed.size > 1) return;
    const tell = (): void => {
      const ids = this.#changed;
      this.#changed = new Set();
      this.#events.emit('change', ids);
    };
    const page = globalThis as {
      document?: { hidden: boolean };
      requestAnimationFrame?: (task: () => void) => unknown;
    };
    // A hidden page draws no frames.
    if (page.document?.hidden === false && page.requestAnimationFrame) page.requestAnimationFrame(tell);
    else queueMicrotask(tell);
  }
}
