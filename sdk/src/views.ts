import type { AnitaClient } from './client.js';
import { Emitter, type ListenOptions } from './emitter.js';
import type { Envelope } from './envelope.js';
import { AnitaError } from './errors.js';
import type { Device } from './store.js';
import type { PositionColumns, ServerMessages, Since, Subscribe, Subscribed } from './wire.gen.js';

/** What a subscription asks for; `null` for `maxRateHz` is no limit. */
export interface SubscribeOptions extends Omit<Subscribe, 'max_rate_hz' | 'min_move_m' | 'since'> {
  /** At most so many positions of a device in a second; the newest comes in any case. */
  maxRateHz?: number | null;
  /** How far a device has to move to be told of, metres. */
  minMoveM?: number | null;
  /**
   * The most positions of a device in a second while the page is hidden: 0 pauses, and a snapshot comes when the page is
   * shown again; `null` for as many as ever. @default 1
   */
  hiddenRateHz?: number | null;
  /** Whether others that want the same get the same subscription; it ends when each of them has closed it. */
  isShared?: boolean;
}

/** What of it can be changed while it is open. */
export type SubscriptionChange = Omit<SubscribeOptions, 'lane' | 'snapshot' | 'isShared'>;

/** Where a device is, whatever the form in which it came: metres in the frame of the site. */
export interface Position {
  id: string;
  x: number;
  y: number;
  z: number;
  // With `fields: 'all'`, as far as they are known.
  accuracy?: number;
  floor?: number;
  battery?: number;
  /** The device's own time. */
  timestamp?: string;
}

/** Fixes that the lane `every` lost; without numbers when their numbering started anew. */
export interface ViewLoss {
  epoch: string;
  fromSeq?: number;
  toSeq?: number;
}

export interface SubscriptionEvents {
  /** The server took it; again after each reconnect. */
  subscribed: [answer: Subscribed];
  /** All devices of the view were told anew; `devices` holds them and no others. */
  snapshot: [devices: ReadonlyMap<string, Device>];
  entered: [devices: Device[]];
  left: [ids: string[]];
  /** What moved, all of one message. */
  position: [positions: Position[]];
  gap: [loss: ViewLoss];
}

/** What subscriptions need of the client. */
export type ViewsPort = Pick<AnitaClient, 'on' | 'request' | 'state'>;

const told = [
  'view.snapshot',
  'view.entered',
  'view.left',
  'view.gap',
  'uwb.location',
  'uwb.position_update',
  'uwb.position_columns',
] as const;

/** The document that this runs in, if any. */
interface Page {
  readonly hidden: boolean;
  addEventListener(type: 'visibilitychange', listener: () => void): void;
  removeEventListener(type: 'visibilitychange', listener: () => void): void;
}

/** What is shared, by what was wanted. */
const shared = new WeakMap<ViewsPort, Map<string, Subscription>>();

/** Asks for a view of devices. */
export function subscribe(client: ViewsPort, options: SubscribeOptions = {}): Subscription {
  if (!options.isShared) return new Subscription(client, options);
  const open = shared.get(client) ?? new Map<string, Subscription>();
  shared.set(client, open);
  const key = JSON.stringify(options);
  const known = open.get(key);
  const subscription = known?.isOpen ? known : new Subscription(client, options);
  open.set(key, subscription);
  if (subscription === known) known.share();
  return subscription;
}

/** A view of devices that is kept up to date, and restored after each reconnect. */
export class Subscription {
  /** Its devices, from the snapshot on; empty in the lane `every`. */
  readonly devices: ReadonlyMap<string, Device>;
  /** Its name on the present connection. */
  id: string | undefined;
  readonly #devices = new Map<string, Device>();
  readonly #refs = new Map<number, string>();
  readonly #events = new Emitter<SubscriptionEvents>();
  readonly #port: ViewsPort;
  /** Ends the listening to the client. */
  readonly #end = new AbortController();
  readonly #page = (globalThis as { document?: Page }).document;
  #uses = 1;
  #hiddenRateHz: number | null;
  #wanted: Subscribe;
  /** The rate that the server knows. */
  #toldRateHz: number | null | undefined;
  #isPaused = false;
  #since: Since | undefined;
  /** The `subscribe` that is queued or on its way. */
  #asking: Promise<unknown> | undefined;

  constructor(port: ViewsPort, options: SubscribeOptions) {
    this.devices = this.#devices;
    this.#port = port;
    this.#wanted = payloadOf(options);
    this.#hiddenRateHz = options.hiddenRateHz === undefined ? 1 : options.hiddenRateHz;
    const { signal } = this.#end;
    port.on(
      'state',
      (now) => {
        this.id = undefined;
        if (now === 'closed') this.#stop();
        if (now === 'online') this.#ask();
      },
      { signal },
    );
    for (const type of told) {
      port.on(
        type,
        (payload, envelope) => {
          const { subscription = (payload as { subscription?: string }).subscription } = envelope;
          if (this.id !== undefined && subscription === this.id) this.#note(envelope);
        },
        { signal },
      );
    }
    this.#page?.addEventListener('visibilitychange', this.#onVisibility);
    this.#ask();
  }

  /** Whether it is kept up to date, or will be when there is a connection. */
  get isOpen(): boolean {
    return !this.#end.signal.aborted;
  }

  on<Type extends keyof SubscriptionEvents>(
    type: Type,
    handler: (...args: SubscriptionEvents[Type]) => unknown,
    options?: ListenOptions,
  ): () => void {
    return this.#events.on(type, handler, options);
  }

  /** Changes the view where it is; what is absent stays. */
  async update(change: SubscriptionChange): Promise<void> {
    const { hiddenRateHz } = change;
    const before = [this.#wanted, this.#hiddenRateHz] as const;
    const { max_rate_hz: rateHz, ...payload } = payloadOf(change);
    const wanted = (this.#wanted = {
      ...this.#wanted,
      ...payload,
      ...(rateHz !== undefined && { max_rate_hz: rateHz }),
    });
    if (hiddenRateHz !== undefined) this.#hiddenRateHz = hiddenRateHz;
    try {
      await this.#change(payload);
    } catch (thrown) {
      if (this.#wanted === wanted) [this.#wanted, this.#hiddenRateHz] = before;
      throw thrown;
    }
  }

  /** Hears nothing until `resume()`. */
  pause(): Promise<void> {
    this.#isPaused = true;
    return this.#change({});
  }

  /** Goes on, with a snapshot. */
  resume(): Promise<void> {
    this.#isPaused = false;
    return this.#change({});
  }

  /** Ends it, when everybody who shares it has said so. */
  async close(): Promise<void> {
    if (!this.isOpen || --this.#uses > 0) return;
    this.#stop();
    await this.#asking;
    const ended = this.#tell('unsubscribe', {});
    this.id = undefined;
    await ended;
  }

  /** One more has to close it. */
  share(): void {
    this.#uses++;
  }

  #stop(): void {
    this.#end.abort();
    this.#page?.removeEventListener('visibilitychange', this.#onVisibility);
  }

  readonly #onVisibility = (): void => {
    // Refusals are told as `error` events.
    this.#change({}, true).catch(() => undefined);
  };

  /** The rate that holds now; `undefined` where nobody ever said one. */
  #rateHz(): number | null | undefined {
    if (this.#isPaused) return 0;
    const { max_rate_hz: wanted } = this.#wanted;
    // The lane `every` knows no rate.
    if (!this.#page?.hidden || this.#hiddenRateHz === null || this.#wanted.lane === 'every') return wanted;
    return Math.min(wanted ?? Infinity, this.#hiddenRateHz);
  }

  async #change(payload: Subscribe, onlyRate = false): Promise<void> {
    const rateHz = this.#rateHz() ?? (this.#toldRateHz === undefined ? undefined : null);
    if (rateHz !== undefined && rateHz !== this.#toldRateHz) payload.max_rate_hz = this.#toldRateHz = rateHz;
    else if (onlyRate) return;
    await this.#asking;
    await this.#tell('update_subscription', payload);
  }

  async #tell(name: 'unsubscribe' | 'update_subscription', payload: Subscribe): Promise<void> {
    try {
      if (this.id !== undefined) await this.#port.request(name, { ...payload, subscription: this.id });
    } catch (thrown) {
      // Where there is no connection, the next one begins with what is wanted then.
      if ((thrown as AnitaError).kind !== 'connection') throw thrown;
    }
  }

  /** Asks for the view on a new connection. */
  #ask(): void {
    if (this.#asking) return;
    const wanted = { ...this.#wanted };
    const rateHz = (this.#toldRateHz = this.#rateHz());
    if (rateHz !== undefined) wanted.max_rate_hz = rateHz;
    if (this.#since) wanted.since = { ...this.#since };
    const onAnswer = (answer: Subscribed): void => {
      this.#begun(answer);
    };
    // Refusals are told as `error` events; what is refused for good is not asked for again.
    this.#asking = this.#port
      .request('subscribe', wanted, { onAnswer })
      .catch((thrown: unknown) => {
        if (thrown instanceof AnitaError && !thrown.retryable) this.#stop();
      })
      .finally(() => (this.#asking = undefined));
  }

  #begun(answer: Subscribed): void {
    const { subscription, epoch, seq, recovered } = answer;
    this.id = subscription;
    // What moved and left while the client was away has to be told, also where no snapshot was wanted at first.
    delete this.#wanted.snapshot;
    this.#events.emit('subscribed', answer);
    if (this.#wanted.lane !== 'every' || recovered) return;
    // Within an epoch the server says which numbers are lost.
    if (this.#since && this.#since.epoch !== epoch) this.#events.emit('gap', { epoch });
    if (this.#since?.epoch !== epoch) this.#since = { epoch, seq };
  }

  /** Takes a message of this view. */
  #note({ type, payload, epoch, seq }: Envelope): void {
    if (this.#since && epoch !== undefined && seq !== undefined) this.#since = { epoch, seq };
    switch (type) {
      case 'view.snapshot': {
        const snapshot = payload as ServerMessages['view.snapshot'];
        if (snapshot.page === 1) this.#devices.clear();
        this.#enter(snapshot);
        if (snapshot.complete) this.#events.emit('snapshot', this.devices);
        break;
      }
      case 'view.entered': {
        const entered = payload as ServerMessages['view.entered'];
        this.#enter(entered);
        this.#events.emit('entered', entered.devices);
        break;
      }
      case 'view.left': {
        const { device_ids } = payload as ServerMessages['view.left'];
        for (const id of device_ids) this.#devices.delete(id);
        this.#events.emit('left', device_ids);
        break;
      }
      case 'view.gap': {
        const gap = payload as ServerMessages['view.gap'];
        this.#since = { epoch: gap.epoch, seq: gap.to_seq };
        this.#events.emit('gap', { epoch: gap.epoch, fromSeq: gap.from_seq, toSeq: gap.to_seq });
        break;
      }
      case 'uwb.location': {
        const { device_id: id, location, received_at, site, ...more } = payload as ServerMessages['uwb.location'];
        this.#move([{ id, ...location, ...more }]);
        break;
      }
      case 'uwb.position_update': {
        const { positions } = payload as ServerMessages['uwb.position_update'];
        this.#move(Object.entries(positions).map(([id, position]) => ({ id, ...position })));
        break;
      }
      case 'uwb.position_columns':
        this.#move(this.#rows(payload as PositionColumns));
    }
  }

  #enter({ devices, refs }: { devices: Device[]; refs?: number[] }): void {
    for (const [index, device] of devices.entries()) {
      this.#devices.set(device.id, device);
      const ref = refs?.[index];
      if (ref !== undefined) this.#refs.set(ref, device.id);
    }
  }

  #move(positions: Position[]): void {
    for (const { id, x, y, z, ...more } of positions) {
      const known = this.#devices.get(id);
      if (known) this.#devices.set(id, { ...known, ...more, location: { x, y, z } });
    }
    this.#events.emit('position', positions);
  }

  /** Columns as positions. */
  #rows({ unit, timestamp, refs, x, y, z, taken_ms_ago: ago, accuracy, floor, battery }: PositionColumns): Position[] {
    const perMetre = unit === 'mm' ? 1_000 : 100;
    const told = Date.parse(timestamp);
    const rows: Position[] = [];
    for (const [index, ref] of refs.entries()) {
      const id = this.#refs.get(ref);
      if (id === undefined) continue;
      const metres = (column: (number | null)[] | undefined): number => (column?.[index] ?? NaN) / perMetre;
      const row: Position = { id, x: metres(x), y: metres(y), z: metres(z) };
      if (ago) row.timestamp = new Date(told - (ago[index] ?? 0)).toISOString();
      const more = { accuracy: metres(accuracy), floor: floor?.[index], battery: battery?.[index] };
      for (const name of ['accuracy', 'floor', 'battery'] as const) {
        const value = more[name];
        if (value != null && !isNaN(value)) row[name] = value;
      }
      rows.push(row);
    }
    return rows;
  }
}

function payloadOf({ maxRateHz, minMoveM, hiddenRateHz, isShared, ...rest }: SubscribeOptions): Subscribe {
  return {
    ...rest,
    ...(maxRateHz !== undefined && { max_rate_hz: maxRateHz }),
    ...(minMoveM !== undefined && { min_move_m: minMoveM }),
  };
}
