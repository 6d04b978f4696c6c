import type { Device } from './devices.js';
import { Emitter, type ListenOptions } from './emitter.js';
import type { Envelope } from './envelope.js';
import { AnitaError } from './errors.js';
import type { PositionColumns, Requests, ServerMessages, Since, Subscribe, Subscribed } from './wire.gen.js';

/** What a subscription asks for; `null` for `maxRateHz` is no limit. */
export interface SubscribeOptions extends Omit<Subscribe, 'max_rate_hz' | 'min_move_m' | 'since'> {
  /** At most so many positions of a device in a second; the newest comes in any case. */
  maxRateHz?: number | null;
  /** How far a device has to move to be told of, metres. */
  minMoveM?: number | null;
}

/** What of it can be changed while it is open. */
export type SubscriptionChange = Omit<SubscribeOptions, 'lane' | 'snapshot'>;

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

type Asked = 'subscribe' | 'update_subscription' | 'unsubscribe';

/** What subscriptions need of the client. */
export interface ViewsPort {
  /** Asks; the function hears the answer before any later message does. */
  ask<Name extends Asked>(
    name: Name,
    payload: Requests[Name]['payload'],
    onAnswer?: (answer: Requests[Name]['answer']) => void,
  ): Promise<Requests[Name]['answer']>;
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
  readonly #open: Set<Subscription>;
  #wanted: Subscribe;
  #isPaused = false;
  #since: Since | undefined;
  /** The `subscribe` that is queued or on its way. */
  #asking: Promise<unknown> | undefined;

  constructor(port: ViewsPort, open: Set<Subscription>, options: SubscribeOptions) {
    this.devices = this.#devices;
    this.#port = port;
    this.#open = open.add(this);
    this.#wanted = payloadOf(options);
    this.restore();
  }

  on<Type extends keyof SubscriptionEvents>(
    type: Type,
    handler: (...args: SubscriptionEvents[Type]) => unknown,
    options?: ListenOptions,
  ): () => void {
    return this.#events.on(type, handler, options);
  }

  /** Changes the view where it is; what is absent stays. */
  update(change: SubscriptionChange): Promise<void> {
    const payload = payloadOf(change);
    const before = this.#wanted;
    const wanted = (this.#wanted = { ...before, ...payload });
    if (this.#isPaused) delete payload.max_rate_hz;
    return this.#change(payload).catch((thrown: unknown) => {
      if (this.#wanted === wanted) this.#wanted = before;
      throw thrown;
    });
  }

  /** Hears nothing until `resume()`: for a page that is hidden. */
  pause(): Promise<void> {
    this.#isPaused = true;
    return this.#change({ max_rate_hz: 0 });
  }

  /** Goes on, with a snapshot. */
  resume(): Promise<void> {
    this.#isPaused = false;
    return this.#change({ max_rate_hz: this.#wanted.max_rate_hz ?? null });
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.#open.delete(this);
    await this.#asking;
    const told = this.#tell('unsubscribe', {});
    this.id = undefined;
    await told;
  }

  async #change(payload: Subscribe): Promise<void> {
    await this.#asking;
    await this.#tell('update_subscription', payload);
  }

  async #tell(name: 'unsubscribe' | 'update_subscription', payload: Subscribe): Promise<void> {
    try {
      if (this.id !== undefined) await this.#port.ask(name, { ...payload, subscription: this.id });
    } catch (thrown) {
      // Where there is no connection, the next one begins with what is wanted then.
      if ((thrown as AnitaError).kind !== 'connection') throw thrown;
    }
  }

  /** Asks for the view on a new connection. */
  restore(): void {
    if (this.#asking) return;
    const wanted = { ...this.#wanted };
    if (this.#isPaused) wanted.max_rate_hz = 0;
    if (this.#since) wanted.since = { ...this.#since };
    const asking = this.#port.ask('subscribe', wanted, (answer) => {
      this.#begun(answer);
    });
    // Refusals are told as `error` events; what is refused for good is not asked for again.
    this.#asking = asking
      .catch((thrown: unknown) => {
        if (thrown instanceof AnitaError && !thrown.retryable) this.#open.delete(this);
      })
      .finally(() => (this.#asking = undefined));
  }

  /** The connection is gone, and its names with it. */
  lost(): void {
    this.id = undefined;
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
  note({ type, payload, epoch, seq }: Envelope): void {
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

/** The subscriptions of a client. */
export class Views {
  readonly #port: ViewsPort;
  readonly #open = new Set<Subscription>();

  constructor(port: ViewsPort) {
    this.#port = port;
  }

  subscribe(options: SubscribeOptions): Subscription {
    return new Subscription(this.#port, this.#open, options);
  }

  /** Begins all anew on a new connection. */
  restore(): void {
    for (const subscription of this.#open) subscription.restore();
  }

  lost(): void {
    for (const subscription of this.#open) subscription.lost();
  }

  note(envelope: Envelope): void {
    const { type, payload } = envelope;
    const name = envelope.subscription ?? (payload as { subscription?: string }).subscription;
    if (name === undefined || !/^(view|uwb)\./.test(type)) return;
    for (const subscription of this.#open) if (subscription.id === name) subscription.note(envelope);
  }

  forget(): void {
    this.#open.clear();
  }
}

function payloadOf({ maxRateHz, minMoveM, ...rest }: SubscribeOptions): Subscribe {
  return {
    ...rest,
    ...(maxRateHz !== undefined && { max_rate_hz: maxRateHz }),
    ...(minMoveM !== undefined && { min_move_m: minMoveM }),
  };
}
