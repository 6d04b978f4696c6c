import type { AnitaClient } from './client.js';
import { Emitter, type ListenOptions } from './emitter.js';
import type { Envelope } from './envelope.js';
import type { AnitaError } from './errors.js';
import type { ServerMessages, Since } from './wire.gen.js';

type Joined = ServerMessages['room.joined'];

/** Numbered messages of a room did not reach this client. What they changed has to be read anew. */
export interface Gap {
  room: string;
  epoch: string;
  /** The first and the last number that are missing; unknown when the numbering started anew. */
  fromSeq?: number;
  toSeq?: number;
}

/** What a reconnect came to, when all rooms are joined again. */
export interface Resync {
  /** Whether every message that was missed meanwhile was told: what the application holds is whole. */
  isWhole: boolean;
  /** The rooms whose state has to be read anew, or that could not be joined. */
  lost: string[];
}

export interface RoomsEvents {
  /** Numbered messages of a room are lost. */
  gap: [gap: Gap];
  /** After a reconnect: whether what the application holds is whole. */
  resync: [resync: Resync];
}

/** What rooms need of the client. */
export type RoomsPort = Pick<AnitaClient, 'on' | 'request' | 'state' | 'stats' | 'url'>;

/** The room of all positions and of what happens to devices. */
export const UWB = 'uwb';

/** Whether the endpoint joins the room `uwb` by itself, on each connection. */
export const isUwbEndpoint = ({ url }: RoomsPort): boolean => /\/ws\/uwb(\?|$)/.test(url);

const all = new WeakMap<RoomsPort, Rooms>();

/** The rooms of a client, the same for all who ask. */
export function rooms(client: RoomsPort): Rooms {
  const known = all.get(client) ?? new Rooms(client);
  all.set(client, known);
  return known;
}

interface Room {
  /** How many joined and did not leave; an endpoint that joins by itself is one of them. */
  uses: number;
  /** Whether the endpoint joins it by itself. */
  isOfEndpoint?: boolean;
  /** How far its numbering has been seen. */
  since?: Since;
  /** The last answer to a join, or the one that is waited for. */
  answer?: Promise<Joined>;
  /** Whether the question is queued or on its way. */
  isAsked?: boolean;
  /** Whether something was lost since the connection began. */
  isTorn?: boolean;
}

/** The rooms that the application wants to be in, and how far each room's numbering has been seen. */
export class Rooms {
  readonly #port: RoomsPort;
  readonly #rooms = new Map<string, Room>();
  readonly #events = new Emitter<RoomsEvents>();

  constructor(port: RoomsPort) {
    this.#port = port;
    this.#count();
    port.on('message', (envelope) => {
      this.#note(envelope);
    });
    port.on('state', (now) => {
      if (now === 'online') void this.#rejoin();
      if (now === 'closed') this.#rooms.clear();
    });
  }

  on<Type extends keyof RoomsEvents>(
    type: Type,
    handler: (...args: RoomsEvents[Type]) => unknown,
    options?: ListenOptions,
  ): () => void {
    return this.#events.on(type, handler, options);
  }

  /**
   * Joins a room, and joins it again after each reconnect from where it was left. Two joins need two leaves; one that is
   * rejected needs none.
   */
  async join(name: string): Promise<Joined> {
    const room = this.#use(name);
    room.uses++;
    try {
      if (room.answer) return await room.answer;
      // The connection is in it: to name a place would ask for everything again.
      if (room.isOfEndpoint && room.since && this.#port.state === 'online') return { room: name, ...room.since };
      return await this.#ask(name, room);
    } catch (thrown) {
      room.uses--;
      throw thrown;
    }
  }

  /**
   * Leaves it when nobody is left who joined. What the endpoint joined by itself (`/ws/uwb`: `uwb`) counts as one, so a
   * join and its leave do not end it.
   */
  leave(name: string): Promise<ServerMessages['room.left']> {
    const room = this.#rooms.get(name);
    if (room && --room.uses > 0) return Promise.resolve({ room: name });
    this.#rooms.delete(name);
    // A connection that was lost has left all its rooms.
    if (this.#port.state !== 'online' && !room?.isAsked) return Promise.resolve({ room: name });
    return this.#port.request('leave_room', { room: name });
  }

  #use(name: string): Room {
    const room = this.#rooms.get(name) ?? { uses: 0 };
    this.#rooms.set(name, room);
    return room;
  }

  /** Counts what the endpoint joins. */
  #count(): void {
    if (!isUwbEndpoint(this.#port)) return;
    const room = this.#use(UWB);
    room.uses ||= 1;
    room.isOfEndpoint = true;
  }

  /** Joins all rooms on a new connection, each from where it was left. */
  async #rejoin(): Promise<void> {
    this.#count();
    const isBack = this.#port.stats().reconnects > 0;
    const lost: string[] = [];
    await Promise.all(
      [...this.#rooms].map(async ([name, room]) => {
        room.isTorn = false;
        if (room.uses < 1) return;
        try {
          // What waited for the connection is on its way already.
          if (room.isAsked) await room.answer;
          else if (room.since || !room.isOfEndpoint) await this.#ask(name, room);
          // No number was ever heard: there is no place to go on from.
          else room.isTorn = true;
        } catch {
          // Refusals are told as `error` events; a lost connection is followed by another rejoin.
          room.isTorn = true;
        }
        if (room.isTorn) lost.push(name);
      }),
    );
    // What was asked on a connection is given up with it: the next one has an answer of its own.
    if (isBack && this.#port.state === 'online') {
      this.#events.emit('resync', { isWhole: !lost.length, lost });
    }
  }

  async #ask(name: string, room: Room): Promise<Joined> {
    room.isAsked = true;
    room.answer = this.#port.request('join_room', { room: name, ...(room.since && { since: { ...room.since } }) });
    try {
      return await room.answer;
    } catch (thrown) {
      delete room.answer;
      // What the server refuses for good is not asked for again after each reconnect.
      if (!(thrown as AnitaError).retryable) this.#rooms.delete(name);
      throw thrown;
    } finally {
      room.isAsked = false;
    }
  }

  /** Follows the numbering. */
  #note({ type, payload, room: numbered, epoch, seq, id }: Envelope): void {
    const told = payload as Joined & ServerMessages['room.gap'];
    const name = numbered ?? told.room;
    const { since, isAsked } = this.#rooms.get(name) ?? {};
    if (type === 'room.gap') {
      this.#see(name, told.epoch, told.to_seq, { epoch: told.epoch, seq: told.from_seq - 1 }, told.to_seq);
    } else if (type === 'room.joined') {
      this.#use(name).isAsked = false;
      this.#see(name, told.epoch, told.seq, told.recovered ? undefined : since, told.seq);
    } else if (type === 'room.left') {
      // Nobody asked: the server took the client out.
      if (id === undefined) this.#rooms.delete(name);
    } else if (isAsked) {
      // The answer will say where it stands. Where the endpoint joins too, what is new comes before what was missed.
    } else if (type === 'room.advanced') {
      // Numbers that were not for this client: nothing is missing.
      if (since?.epoch === told.epoch && since.seq < told.seq) this.#see(name, told.epoch, told.seq);
    } else if (numbered !== undefined && epoch !== undefined && seq !== undefined) {
      // What was told before is told again after a reconnect.
      if (since?.epoch !== epoch || seq > since.seq) this.#see(name, epoch, seq, since, seq - 1);
    }
  }

  /** The numbering of a room stands at `seq` now; since `seen`, everything up to `lostSeq` is missing. */
  #see(name: string, epoch: string, seq: number, seen?: Since, lostSeq = 0): void {
    const room = this.#use(name);
    room.since = { epoch, seq };
    const isSame = seen?.epoch === epoch;
    if (!seen || (isSame && seen.seq >= lostSeq)) return;
    room.isTorn = true;
    this.#events.emit('gap', { room: name, epoch, ...(isSame && { fromSeq: seen.seq + 1, toSeq: lostSeq }) });
  }
}
