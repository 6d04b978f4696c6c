import type { AnitaClient } from './client.js';
import { Emitter, type ListenOptions } from './emitter.js';
import { AnitaError } from './errors.js';
import { isUwbEndpoint, rooms, UWB } from './rooms.js';
import type { ServerMessages } from './wire.gen.js';

/** A device, as `uwb.device_list` tells it. Each change makes a new object, so that `===` tells whether it changed. */
export type Device = ServerMessages['uwb.device_list']['devices'][number];

type Told =
  | 'uwb.device_list'
  | 'uwb.location'
  | 'uwb.position_update'
  | 'view.entered'
  | 'uwb.device_registered'
  | 'device.status'
  | 'device.updated'
  | 'device.removed';

/** What the store needs of the client. */
export type StorePort = Pick<AnitaClient, 'on' | 'request' | 'state' | 'stats' | 'url'>;

interface StoreEvents {
  change: [ids: Set<string>];
}

const RETRY_MS = 2_000;

/**
 * All devices that the client may see, kept up to date: a map to look into, `on('change')` for what draws by itself, and
 * `subscribe` and `getSnapshot` for frameworks.
 */
export class DeviceStore<Client extends StorePort = StorePort> implements ReadonlyMap<string, Device> {
  /** The client that it listens to. */
  readonly client: Client;
  readonly #port: StorePort;
  readonly #devices = new Map<string, Device>();
  readonly #events = new Emitter<StoreEvents>();
  /** What ends the listening to the client. */
  readonly #ends: (() => void)[] = [];
  #isClosed = false;
  #changed = new Set<string>();
  #snapshot: readonly Device[] = [];
  #isStale = false;
  /** The devices heard of since the list was asked for; `undefined` when it isn't. */
  #heard: Set<string> | undefined;
  #run = 0;
  /** Whether it has joined the room that tells it what changes. */
  #isIn = false;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(client: Client) {
    this.client = client;
    const port: StorePort = (this.#port = client);
    const on = <Type extends Told>(type: Type, handler: (payload: ServerMessages[Type]) => void): void => {
      this.#ends.push(port.on(type as 'uwb.location', handler as (payload: ServerMessages['uwb.location']) => void));
    };
    on('uwb.device_list', ({ devices }) => {
      for (const device of devices) this.#list(device);
    });
    on('uwb.location', ({ device_id, ...fix }) => {
      const { accuracy, floor, site, ...known } = this.#known(device_id);
      // The answer to a question may be older than what was pushed meanwhile.
      if (known.timestamp !== undefined && known.timestamp > fix.timestamp) return;
      this.#put({ ...known, ...fix, last_seen: fix.received_at });
    });
    on('uwb.position_update', ({ positions, timestamp, playback }) => {
      if (playback !== undefined) return; // The past.
      for (const [id, { x, y, z, ...more }] of Object.entries(positions)) {
        const known = this.#known(id);
        if (more.timestamp && known.timestamp && known.timestamp > more.timestamp) continue;
        const { accuracy, floor, ...rest } = known;
        // With the device's own time comes all that it said: what is missing, it did not say.
        const kept = more.timestamp ? rest : known;
        const told = { location: { x, y, z }, received_at: timestamp, last_seen: timestamp };
        this.#put({ ...kept, ...more, ...told });
      }
    });
    on('view.entered', ({ devices }) => {
      for (const device of devices) this.#put(device);
    });
    on('uwb.device_registered', ({ device_id, initial_location }) => {
      // Its status may have been told before this answer.
      const known = this.#known(device_id);
      if (known.location === null) this.#put({ ...known, location: initial_location });
    });
    on('device.status', ({ device_id, ...status }) => {
      this.#put({ ...this.#known(device_id), ...status });
    });
    on('device.updated', ({ device }) => {
      this.#put(device);
    });
    on('device.removed', ({ device_id }) => {
      if (this.#devices.delete(device_id)) this.#change(device_id);
    });
    this.#ends.push(
      port.on('room.left', ({ room }, { id }) => {
        // Nobody asked: the server took the client out, and everybody's joins with it.
        if (room === UWB && id === undefined) this.#isIn = false;
      }),
      // Before the state is listened to: rooms are joined again before the list is read.
      rooms(port).on('gap', () => void this.#fill()),
      port.on('state', (now) => {
        if (now === 'online') void this.#fill();
        if (now === 'closed') this.close();
      }),
    );
    if (port.state === 'online') void this.#fill();
  }

  /** Tells which devices changed, came or went: once a frame in a page, once a turn elsewhere. */
  on(type: 'change', handler: (ids: Set<string>) => unknown, options?: ListenOptions): () => void {
    return this.#events.on(type, handler, options);
  }

  /** Tells that there is a new snapshot; the answer stops listening. Needs no `this`. */
  readonly subscribe = (listener: () => void): (() => void) => this.on('change', listener);

  /** All devices; the same array until a change was told. Needs no `this`. */
  readonly getSnapshot = (): readonly Device[] => {
    if (this.#isStale) this.#snapshot = [...this.#devices.values()];
    this.#isStale = false;
    return this.#snapshot;
  };

  /** Hears nothing any more, and leaves its room; what is known stays. */
  close(): void {
    this.#isClosed = true;
    for (const end of this.#ends) end();
    this.#run++;
    clearTimeout(this.#retry);
    if (!this.#isIn) return;
    this.#isIn = false;
    this.#leave();
  }

  get size(): number {
    return this.#devices.size;
  }

  get(id: string): Device | undefined {
    return this.#devices.get(id);
  }

  has(id: string): boolean {
    return this.#devices.has(id);
  }

  keys(): MapIterator<string> {
    return this.#devices.keys();
  }

  values(): MapIterator<Device> {
    return this.#devices.values();
  }

  entries(): MapIterator<[string, Device]> {
    return this.#devices.entries();
  }

  [Symbol.iterator](): MapIterator<[string, Device]> {
    return this.#devices.entries();
  }

  forEach(task: (device: Device, id: string, map: ReadonlyMap<string, Device>) => void): void {
    for (const [id, device] of this.#devices) task(device, id, this);
  }

  /**
   * Is in the room of positions and events, where the endpoint does not see to that: one of those who joined, however often
   * it is called.
   */
  async #hold(): Promise<void> {
    if (isUwbEndpoint(this.#port)) return;
    try {
      await rooms(this.#port).join(UWB);
    } catch (thrown) {
      // What is refused for good is joined by nobody any more.
      if (!(thrown as AnitaError).retryable) this.#isIn = false;
      throw thrown;
    }
    if (this.#isIn || this.#isClosed) this.#leave();
    else this.#isIn = true;
  }

  #leave(): void {
    rooms(this.#port)
      .leave(UWB)
      .catch(() => undefined);
  }

  /** Reads all pages of the list, then drops what is neither on them nor heard of meanwhile. */
  async #fill(): Promise<void> {
    const run = ++this.#run;
    const heard = (this.#heard = new Set<string>());
    const listed = new Set<string>();
    // Joined first: nothing that changes after the list was read is missed.
    const held = this.#hold();
    held.catch(() => undefined);
    try {
      let after: string | undefined;
      do {
        const page = await this.#port.request('get_active_devices', after === undefined ? {} : { after });
        if (run !== this.#run) return;
        for (const { id } of page.devices) listed.add(id);
        after = page.next;
      } while (after !== undefined);
      for (const id of this.#devices.keys()) {
        if (listed.has(id) || heard.has(id)) continue;
        this.#devices.delete(id);
        this.#change(id);
      }
      await held;
    } catch (thrown) {
      // Failures are told as `error` events; a lost connection is followed by another fill.
      if (!(thrown instanceof AnitaError) || !thrown.retryable || thrown.kind === 'connection') return;
      this.#retry = setTimeout(() => {
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
    this.#devices.set(device.id, device);
    this.#change(device.id);
  }

  #known(id: string): Device {
    return this.get(id) ?? { id, kind: 'tag', status: 'connected', last_seen: null, location: null };
  }

  #put(device: Device): void {
    this.#devices.set(device.id, device);
    this.#heard?.add(device.id);
    this.#change(device.id);
  }

  #change(id: string): void {
    this.#changed.add(id);
    if (this.#changed.size > 1) return;
    const tell = (): void => {
      const ids = this.#changed;
      this.#changed = new Set();
      this.#isStale = true;
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
