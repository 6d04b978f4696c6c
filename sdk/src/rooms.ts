import type { Envelope } from './envelope.js';
import { AnitaError } from './errors.js';
import type { Requests, ServerMessages, Since } from './wire.gen.js';

/** Numbered messages of a room did not reach this client. What they changed has to be read anew. */
export interface Gap {
  room: string;
  epoch: string;
  /** The first and the last number that are missing; unknown when the numbering started anew. */
  fromSeq?: number;
  toSeq?: number;
}

/** What rooms need of the client. */
export interface RoomsPort {
  ask<Name extends 'join_room' | 'leave_room'>(
    name: Name,
    payload: Requests[Name]['payload'],
  ): Promise<Requests[Name]['answer']>;
  onGap(gap: Gap): void;
}

/** The rooms that the application wants to be in, and how far each room's numbering has been seen. */
export class Rooms {
  readonly #port: RoomsPort;
  readonly #wanted = new Set<string>();
  /** Rooms whose `join_room` is queued or on its way. */
  readonly #asked = new Set<string>();
  readonly #seen = new Map<string, Since>();

  constructor(port: RoomsPort) {
    this.#port = port;
  }

  async join(room: string): Promise<ServerMessages['room.joined']> {
    this.#wanted.add(room);
    this.#asked.add(room);
    const since = this.#seen.get(room);
    try {
      return await this.#port.ask('join_room', since ? { room, since: { ...since } } : { room });
    } catch (thrown) {
      // What the server refuses for good is not asked for again after each reconnect.
      if (thrown instanceof AnitaError && !thrown.retryable) this.#wanted.delete(room);
      throw thrown;
    } finally {
      this.#asked.delete(room);
    }
  }

  leave(room: string): Promise<ServerMessages['room.left']> {
    this.#wanted.delete(room);
    this.#seen.delete(room);
    return this.#port.ask('leave_room', { room });
  }

  /** Joins all wanted rooms on a new connection, each from where it was left. */
  rejoin(): void {
    for (const room of this.#wanted) {
      // Refusals are told as `error` events; a lost connection is followed by another rejoin.
      if (!this.#asked.has(room)) this.join(room).catch(() => undefined);
    }
  }

  /** Follows the numbering. */
  note({ type, payload, room, epoch, seq, id }: Envelope): void {
    if (type === 'room.joined') {
      const joined = payload as ServerMessages['room.joined'];
      const seen = this.#seen.get(joined.room);
      const isWhole = !seen || joined.recovered === true || (seen.epoch === joined.epoch && seen.seq >= joined.seq);
      this.#seen.set(joined.room, { epoch: joined.epoch, seq: joined.seq });
      if (!isWhole) this.#tell(joined.room, joined.epoch, seen, joined.seq);
    } else if (type === 'room.gap') {
      const gap = payload as ServerMessages['room.gap'];
      this.#seen.set(gap.room, { epoch: gap.epoch, seq: gap.to_seq });
      this.#port.onGap({ room: gap.room, epoch: gap.epoch, fromSeq: gap.from_seq, toSeq: gap.to_seq });
    } else if (type === 'room.advanced') {
      // Numbers that were not for this client: nothing is missing.
      const advanced = payload as ServerMessages['room.advanced'];
      const seen = this.#seen.get(advanced.room);
      if (seen?.epoch === advanced.epoch && seen.seq < advanced.seq) {
        this.#seen.set(advanced.room, { epoch: advanced.epoch, seq: advanced.seq });
      }
    } else if (type === 'room.left' && id === undefined) {
      // Nobody asked: the server took the client out.
      this.#wanted.delete((payload as ServerMessages['room.left']).room);
    } else if (room !== undefined && epoch !== undefined && seq !== undefined) {
      const seen = this.#seen.get(room);
      if (seen?.epoch === epoch && seq <= seen.seq) return;
      this.#seen.set(room, { epoch, seq });
      if (seen && (seen.epoch !== epoch || seq > seen.seq + 1)) this.#tell(room, epoch, seen, seq - 1);
    }
  }

  forget(): void {
    this.#wanted.clear();
    this.#seen.clear();
  }

  #tell(room: string, epoch: string, seen: Since, toSeq: number): void {
    this.#port.onGap(seen.epoch === epoch ? { room, epoch, fromSeq: seen.seq + 1, toSeq } : { room, epoch });
  }
}
