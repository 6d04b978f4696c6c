import type { Socket, SocketEvent, WebSocketConstructor } from './socket.js';
import type { Requests, ServerMessages } from './wire.gen.js';

/** One message of the client, as the server reads it. */
export interface Said {
  type: string;
  payload: Record<string, unknown>;
  id?: string;
}

/** A hello as the server says it, for tests that don't care. */
export const hello: ServerMessages['system.connection'] = {
  client_id: 'c1',
  status: 'authenticated',
  user_id: 'alice',
  roles: ['viewer'],
  permissions: [],
  expires_at: '2099-01-01T00:00:00.000000Z',
  heartbeat_interval_secs: 25,
  protocol: 'anita.v1',
  limits: {
    message_bytes: 262_144,
    requests_per_second: 50,
    rooms: 100,
    locations_per_report: 1_000,
    devices_per_page: 1_000,
    history_per_page: 1_000,
  },
};

type EventType = 'open' | 'message' | 'close' | 'error';

/** The server's end of one connection, and the client's socket. Nothing happens but what the test says. */
export class FakeConnection implements Socket {
  readonly url: string;
  readonly protocol: string;
  /** All that the client said. */
  readonly said: Said[] = [];
  /** The code that the client closed with. */
  closedWith: number | undefined;
  /** What the client believes to be waiting in its socket. */
  bufferedAmount = 0;
  readonly #listeners: [EventType, (event: SocketEvent) => void][] = [];
  readonly #hear: (said: Said, connection: FakeConnection) => void;

  constructor(url: string, protocol: string, hear: (said: Said, connection: FakeConnection) => void) {
    this.url = url;
    this.protocol = protocol;
    this.#hear = hear;
  }

  // The client's side.

  send(text: string): void {
    const said = JSON.parse(text) as Said;
    this.said.push(said);
    this.#hear(said, this);
  }

  close(code = 1000): void {
    this.closedWith = code;
  }

  addEventListener(type: EventType, listener: (event: SocketEvent) => void): void {
    this.#listeners.push([type, listener]);
  }

  // The server's side.

  /** All messages of this type that the client sent. */
  heard(type: string): Said[] {
    return this.said.filter((said) => said.type === type);
  }

  /** An event of the socket: what the network does. */
  fire(type: EventType, event: Omit<SocketEvent, 'type'> = {}): void {
    for (const [its, listener] of this.#listeners) if (its === type) listener({ type, ...event });
  }

  /** A message of the server; `more` goes beside type and payload. */
  tell(type: string, payload: object = {}, more: object = {}): void {
    this.fire('message', { data: JSON.stringify({ type, payload, ...more }) });
  }

  /** The answer to a request: the last one of its type, or the one that is given. */
  answer<Name extends keyof Requests>(
    request: Name | Said,
    type: Requests[Name]['answerType'],
    payload: object = {},
  ): void {
    const said = typeof request === 'string' ? this.heard(request).at(-1) : request;
    if (!said) throw new Error('nobody asked that');
    this.tell(type, payload, { id: said.id });
  }

  /** The refusal of a request. */
  refuse(request: Said | string, code: string, more: object = {}): void {
    const said = typeof request === 'string' ? this.heard(request).at(-1) : request;
    this.tell(
      'error',
      { code, message: code, retryable: false, ...more },
      said?.id === undefined ? {} : { id: said.id },
    );
  }

  /** Opens the connection and says hello: the client is online. */
  welcome(more: Partial<ServerMessages['system.connection']> = {}): void {
    this.fire('open');
    this.tell('system.connection', { ...hello, ...more });
  }

  /** The connection ends: by the server with a code and a reason, or, without a code, by the network. */
  drop(code = 1006, reason?: { code: string; retry_after_ms?: number }): void {
    this.fire('close', { code, reason: reason ? JSON.stringify(reason) : '' });
  }
}

type Answer = (said: Said, connection: FakeConnection) => readonly [type: string, payload: object] | undefined;

/**
 * A server without a network. Give its `WebSocket` to the client; then each connection does what the test says, or what
 * was said beforehand: `welcomes()`, `answers()`.
 */
export class FakeServer {
  readonly connections: FakeConnection[] = [];
  readonly WebSocket: WebSocketConstructor;
  readonly #answers = new Map<string, Answer>();
  #hello: Partial<ServerMessages['system.connection']> | undefined;

  constructor() {
    const accept = (url: string, protocol: string): FakeConnection => {
      const connection = new FakeConnection(url, protocol, (said) => {
        this.#hear(said, connection);
      });
      this.connections.push(connection);
      if (this.#hello)
        queueMicrotask(() => {
          connection.welcome(this.#hello);
        });
      return connection;
    };
    // A function that gives an object is as good a constructor as a class.
    this.WebSocket = function (url: string, protocol: string) {
      return accept(url, protocol);
    } as unknown as WebSocketConstructor;
  }

  /** The newest connection. */
  get last(): FakeConnection {
    const last = this.connections.at(-1);
    if (!last) throw new Error('nobody has connected');
    return last;
  }

  /** Says hello to each connection by itself from here on. */
  welcomes(more: Partial<ServerMessages['system.connection']> = {}): this {
    this.#hello = more;
    return this;
  }

  /** Answers requests of a type by itself from here on. */
  answers<Name extends keyof Requests>(
    name: Name,
    type: Requests[Name]['answerType'],
    payload: Requests[Name]['answer'] | ((asked: Requests[Name]['payload']) => Requests[Name]['answer']),
  ): this {
    this.#answers.set(name, (said) => [
      type,
      (typeof payload === 'function' ? payload(said.payload) : payload) as object,
    ]);
    return this;
  }

  #hear(said: Said, connection: FakeConnection): void {
    // Never before the client has done what it is about to do.
    const answer = this.#answers.get(said.type);
    if (answer) {
      queueMicrotask(() => {
        const told = answer(said, connection);
        if (told) connection.tell(told[0], told[1], { id: said.id });
      });
    }
  }
}

/** What tells a client of the network and of its page: give it as `network`, and say what happens. */
export class FakeWindow extends EventTarget {
  readonly navigator = { onLine: true };

  /** An event of the window: `online`, `offline`, `pagehide`, `pageshow`, `visibilitychange`. */
  say(type: string, more: { persisted?: boolean } = {}): void {
    if (type === 'online' || type === 'offline') this.navigator.onLine = type === 'online';
    this.dispatchEvent(Object.assign(new Event(type), more));
  }
}

interface Timer {
  readonly at: number;
  readonly task: () => void;
}

/**
 * A clock that stands still until it is told to go on. From `install()` to `uninstall()` it is that of everything:
 * `Date.now`, `setTimeout` and `clearTimeout`.
 */
export class ManualClock {
  /** Milliseconds since 1970. */
  nowMs: number;
  readonly #timers = new Map<number, Timer>();
  #lastId = 0;
  #uninstall: (() => void) | undefined;

  constructor(nowMs = Date.UTC(2026, 0, 1)) {
    this.nowMs = nowMs;
  }

  /** How many timers run. */
  get timers(): number {
    return this.#timers.size;
  }

  install(): this {
    if (this.#uninstall) return this;
    const before = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
    const { now } = Date;
    this.#uninstall = () => {
      Object.assign(globalThis, before);
      Date.now = now;
    };
    const set = (task: () => void, ms = 0): number => {
      this.#timers.set(++this.#lastId, { at: this.nowMs + ms, task });
      return this.#lastId;
    };
    const clear = (id: number): void => {
      this.#timers.delete(id);
    };
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
    Date.now = () => this.nowMs;
    return this;
  }

  uninstall(): void {
    this.#uninstall?.();
    this.#uninstall = undefined;
    this.#timers.clear();
  }

  /** Lets time pass: timers go off in their order, and what waits for promises goes on in between. */
  async advance(ms: number): Promise<void> {
    const end = this.nowMs + ms;
    await settle();
    for (;;) {
      const [due] = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at);
      if (!due) break;
      const [id, { at, task }] = due;
      this.#timers.delete(id);
      this.nowMs = Math.max(this.nowMs, at);
      task();
      await settle();
    }
    this.nowMs = end;
  }
}

/** Lets promises that are settled already be heard, and what they settle. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}
