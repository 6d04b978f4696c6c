import { delayMs, type Backoff } from './backoff.js';
import { Devices, type DeviceMap } from './devices.js';
import { Emitter, type ListenOptions } from './emitter.js';
import { decode, redact, type Envelope, type EnvelopeOf } from './envelope.js';
import { AnitaError, CHECK_SERVER, kindOf, messageOf } from './errors.js';
import { isFinal, machine, step, type Effect, type Input, type Machine, type State } from './machine.js';
import { Rooms, type Gap } from './rooms.js';
import { isOnline, networkHere, type Network, type Socket, type WebSocketConstructor } from './socket.js';
import { check, shapeOf } from './validate.js';
import { Views, type SubscribeOptions, type Subscription } from './views.js';
import { closeCodes, type Requests, type ServerMessages } from './wire.gen.js';

/** The hello of the server: who the client is, what it may do, and the limits. */
export type Hello = ServerMessages['system.connection'];

/** Why a token is asked for. */
export interface TokenAsk {
  /** `connect`: for a new connection; `refresh`: the present one runs out soon; `rejected`: the last one had run out. */
  reason: 'connect' | 'refresh' | 'rejected';
  /** Aborts when the token is not needed any more. */
  signal: AbortSignal;
}

export interface ClientOptions {
  /**
   * The token, or a function that fetches one: asked before every connection, and before the present token runs out.
   * What it throws is tried again, unless the error has `fatal: true`. Without one the page's session is used.
   */
  token?: string | ((ask: TokenAsk) => string | Promise<string>);
  /** The class of sockets; Node 20 has none of its own: pass that of `ws`. */
  WebSocket?: WebSocketConstructor;
  /** Whether payloads are checked against the shapes of the protocol, both ways. @default true */
  validate?: boolean;
  /** How long an answer may take. @default 10_000 */
  requestTimeoutMs?: number;
  /** How long token, socket and authentication may take together. @default 10_000 */
  connectTimeoutMs?: number;
  backoff?: Partial<Backoff>;
  /** From 0 to 1; tests give their own. @default Math.random */
  random?: () => number;
  /** What tells `online`, `offline`, `pageshow` and `visibilitychange`; the window by default, `null` for none. */
  network?: Network | null;
}

export interface RequestOptions {
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** How a connection ended, and what comes next. */
export interface CloseInfo {
  code: number;
  /** The stable word of the reason, as the server or the table of close codes says it. */
  reason: string;
  willReconnect: boolean;
  retryInMs?: number | undefined;
  /** What to do about it, for people. */
  advice: string;
}

export interface Stats {
  /** Messages. */
  received: number;
  sent: number;
  /** Characters received. */
  bytes: number;
  /** Connections after the first one. */
  reconnects: number;
  /** Messages of a type that neither the protocol nor a handler knows. */
  unknown: number;
  /** Messages that could not be read, or don't have the shape of their type. */
  invalid: number;
  lastMessageAt?: number;
  /** The round trip of the last `ping`. */
  rttMs?: number;
}

/** What the client itself tells. */
export interface ClientEvents {
  /** The server said hello; again after each reconnect. */
  open: [hello: Hello];
  close: [info: CloseInfo];
  /** Every message that could be read, known or not. */
  message: [envelope: Envelope, text: string];
  /** Every failure, those that are tried again too. */
  error: [error: AnitaError];
  state: [now: State, was: State];
  /** What was sent, tokens made unreadable. */
  sent: [text: string];
  /** Numbered messages of a room are lost. */
  gap: [gap: Gap];
}

/** All events: the client's own, and each message of the server by its type. */
export type Events = ClientEvents & {
  [Type in Exclude<keyof ServerMessages, keyof ClientEvents>]: [
    payload: ServerMessages[Type],
    envelope: EnvelopeOf<Type>,
  ];
};

interface Pending {
  readonly text: string;
  isSent: boolean;
  resolve(answer: unknown): void;
  reject(error: AnitaError): void;
}

type TimerName = 'connect' | 'retry' | 'stable' | 'watch' | 'refresh' | 'probe';

const SUBPROTOCOL = 'anita.v1';
const QUEUED_MAX = 100;
const REFRESH_BEFORE_MS = 30_000;
const REFRESH_PAUSE_MS = 5_000;
const PROBE_MS = 5_000;
const SILENT_HEARTBEATS_MAX = 2.5;
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Which timers run in which states. */
const timersOf: Partial<Record<State, readonly TimerName[]>> = {
  connecting: ['connect'],
  authenticating: ['connect'],
  waiting: ['retry'],
  online: ['stable', 'watch', 'refresh', 'probe'],
};

/** A connection to ANITA that keeps itself alive. */
export class AnitaClient {
  readonly url: string;
  readonly stats: Readonly<Stats>;
  readonly #stats: Stats = { received: 0, sent: 0, bytes: 0, reconnects: 0, unknown: 0, invalid: 0 };
  readonly #options: ClientOptions;
  readonly #backoff: Backoff;
  readonly #network: Network | null;
  readonly #events = new Emitter<Events>();
  readonly #rooms: Rooms;
  readonly #views: Views;
  readonly #pending = new Map<string, Pending>();
  readonly #timers = new Map<TimerName, ReturnType<typeof setTimeout>>();
  #token: ClientOptions['token'];
  #machine: Machine;
  #socket: Socket | undefined;
  /** Which attempt this is; what belongs to an older one is ignored. */
  #generation = 0;
  /** Ends the asking for a token, when the attempt ends. */
  #asking = new AbortController();
  #granted: string | undefined;
  #ready: { promise: Promise<Hello>; resolve(hello: Hello): void; reject(error: AnitaError): void } | undefined;
  #devices: Devices | undefined;
  #hello: Hello | undefined;
  #error: AnitaError | undefined;
  /** What the server said of the token before it closed this connection. */
  #refusal: AnitaError | undefined;
  #retryAt: number | undefined;
  /** Until when the server asked to stay away, if it said so before it closed. */
  #awayUntil = 0;
  #heardAt = 0;
  #sentAt = 0;
  #lastId = 0;

  constructor(url: string | URL, options: ClientOptions = {}) {
    this.url = String(url);
    this.stats = this.#stats;
    this.#options = options;
    this.#backoff = { baseMs: 500, capMs: 20_000, stableMs: 5_000, ...options.backoff };
    this.#network = options.network === undefined ? networkHere() : options.network;
    this.#token = options.token;
    this.#machine = machine(typeof options.token !== 'string', isOnline(this.#network));
    this.#rooms = new Rooms({
      ask: (name, payload) => this.request(name, payload),
      onGap: (gap) => {
        this.#events.emit('gap', gap);
      },
    });
    this.#views = new Views({ ask: (name, payload, onAnswer) => this.#ask(name, payload, {}, false, onAnswer) });
  }

  get state(): State {
    return this.#machine.state;
  }

  /** The hello of the present connection, or of the last one. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  /** Why the client is not online; `undefined` when it is. */
  get error(): AnitaError | undefined {
    return this.#error;
  }

  /** When the next attempt is, while `waiting`. */
  get retryAt(): number | undefined {
    return this.#retryAt;
  }

  /** A live map of all devices that this client may see; it is filled from its first use on. */
  get devices(): DeviceMap {
    return (this.#devices ??= new Devices(this, this.state === 'online'));
  }

  /** Connects, and stays connected. Fulfilled when online; rejected when that cannot be. */
  connect(): Promise<Hello> {
    if (this.state === 'closed') return Promise.reject(closed());
    if (this.state === 'online' && this.#hello) return Promise.resolve(this.#hello);
    const ready = (this.#ready ??= deferred<Hello>());
    for (const type of networkEvents) this.#network?.addEventListener(type, this.#onPage);
    this.#input('connect');
    return ready.promise;
  }

  /** Ends everything, and forgets token, rooms and timers. There is no way back. */
  close(): void {
    if (this.state === 'closed') return;
    const hadSocket = this.#socket !== undefined;
    this.#input('close');
    if (hadSocket) this.#events.emit('close', { code: 1000, reason: 'normal', willReconnect: false, advice: '' });
  }

  /** Doesn't wait for the next attempt. */
  retryNow(): void {
    this.#input('retry');
  }

  /** Listens; the answer stops listening. */
  on<Type extends keyof Events>(
    type: Type,
    handler: (...args: Events[Type]) => unknown,
    options?: ListenOptions,
  ): () => void {
    return this.#events.on(type, handler, options);
  }

  /** Asks the server, and gives the payload of its answer. Asked while not online, it waits its turn. */
  request<Name extends keyof Requests>(
    name: Name,
    payload: Requests[Name]['payload'],
    options: RequestOptions = {},
  ): Promise<Requests[Name]['answer']> {
    return this.#ask(name, payload, options);
  }

  /** Sends a message without waiting for an answer. `false` when it was not sent: not online, or not valid. */
  send(type: string, payload: object): boolean {
    const fault = this.#fault(type, payload);
    if (fault) this.#report(fault);
    return !fault && this.sendText(JSON.stringify({ type, payload }));
  }

  /** Sends a text as it is. `false` when not online. */
  sendText(text: string): boolean {
    return this.state === 'online' && this.#transmit(text);
  }

  /** Joins a room, and joins it again after each reconnect from where it was left. */
  join(room: string): Promise<ServerMessages['room.joined']> {
    return this.#rooms.join(room);
  }

  leave(room: string): Promise<ServerMessages['room.left']> {
    return this.#rooms.leave(room);
  }

  /** A view of devices: kept up to date, and restored after each reconnect. */
  subscribe(options: SubscribeOptions = {}): Subscription {
    return this.#views.subscribe(options);
  }

  /** How the server serves this connection: how old positions are, and what was left out. */
  connectionStats(): Promise<ServerMessages['system.connection_stats']> {
    return this.request('get_connection_stats', {});
  }

  // What happens to the connection: one step of the machine, then its effects.

  #input(input: Input): void {
    const was = this.state;
    const [next, effects] = step(this.#machine, input);
    this.#machine = next;
    const running = timersOf[next.state] ?? [];
    for (const name of this.#timers.keys()) if (!running.includes(name)) this.#stop(name);
    if (next.state !== 'waiting') this.#retryAt = undefined;
    for (const effect of effects) this.#perform(effect, input);
    if (next.state === was) return;
    this.#events.emit('state', next.state, was);
    if (next.state === 'closed') this.#end(closed());
    if (next.state === 'failed') this.#end(this.#error ?? closed());
  }

  #perform(effect: Effect, input: Input): void {
    if (effect === 'authenticate') {
      this.#transmit(JSON.stringify({ type: 'authenticate', payload: { token: this.#granted } }));
    } else if (effect === 'hangUp') {
      this.#hangUp(typeof input === 'object' && 'lost' in input ? input.lost : undefined);
    } else if ('dial' in effect) {
      this.#asking = new AbortController();
      this.#after('connect', this.#options.connectTimeoutMs ?? 10_000, () => {
        this.#lose(4408, new AnitaError('timeout', 'connect_timeout', 'The connection took too long.', unreachable));
      });
      void this.#dial(effect.dial, ++this.#generation);
    } else {
      const ms = delayMs(effect.wait, this.#backoff, this.#options.random ?? Math.random, effect.retryAfterMs);
      this.#retryAt = Date.now() + ms;
      this.#after('retry', ms, () => {
        this.#input('retry');
      });
    }
  }

  /** Lets go of the socket, of the asking for a token, and of what was asked of the server. */
  #hangUp(lost?: number): void {
    const socket = this.#socket;
    this.#generation++;
    this.#socket = this.#granted = undefined;
    this.#views.lost();
    this.#asking.abort();
    // A peer that is silent does not answer a close either.
    if (lost !== undefined && socket?.terminate) socket.terminate();
    else socket?.close(lost !== undefined && lost >= 3000 ? lost : 1000);
    for (const pending of [...this.#pending.values()]) if (pending.isSent) pending.reject(disconnected());
  }

  /** Nothing comes after this, unless the application connects anew. */
  #end(error: AnitaError): void {
    for (const type of networkEvents) this.#network?.removeEventListener(type, this.#onPage);
    for (const pending of [...this.#pending.values()]) pending.reject(error);
    this.#ready?.reject(error);
    this.#ready = undefined;
    if (this.state !== 'closed') return;
    this.#token = undefined;
    this.#rooms.forget();
    this.#views.forget();
  }

  async #dial(reason: 'connect' | 'rejected', mine: number): Promise<void> {
    const isStale = (): boolean => mine !== this.#generation;
    let token: string | undefined;
    try {
      token = await this.#askToken(reason);
    } catch (thrown) {
      if (!isStale()) this.#tokenFailed(thrown);
      return;
    }
    if (isStale()) return;
    this.#granted = token;

    let socket: Socket;
    try {
      const { WebSocket = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket } = this.#options;
      if (!WebSocket) throw new Error('There is no WebSocket here; in Node 20 pass the one of the package `ws`.');
      socket = this.#socket = new WebSocket(this.url, SUBPROTOCOL);
    } catch (thrown) {
      this.#refuse(new AnitaError('connection', 'no_socket', messageOf(thrown), { cause: thrown }));
      return;
    }
    this.#refusal = undefined;
    socket.addEventListener('open', () => {
      if (!isStale()) this.#input('opened');
    });
    socket.addEventListener('message', ({ data }) => {
      if (!isStale()) this.#receive(data);
    });
    socket.addEventListener('close', ({ code = 1006, reason = '' }) => {
      if (!isStale()) this.#closed(code, reason);
    });
    // A close follows, and says more.
    socket.addEventListener('error', () => undefined);
  }

  async #askToken(reason: TokenAsk['reason']): Promise<string | undefined> {
    const { signal } = this.#asking;
    const token = typeof this.#token === 'function' ? await this.#token({ reason, signal }) : this.#token;
    if (typeof token === 'string' ? token : this.#token === undefined) return token;
    throw new Error('The token function gave no token.');
  }

  #tokenFailed(cause: unknown): void {
    const isFatal = typeof cause === 'object' && (cause as { fatal?: unknown } | null)?.fatal === true;
    const error = new AnitaError('auth', 'token_failed', `No token could be had: ${messageOf(cause)}`, {
      cause,
      retryable: !isFatal,
      remedy: isFatal ? signIn : CHECK_SERVER,
    });
    if (isFatal) this.#refuse(error);
    else if (this.state === 'online') this.#report(error);
    else this.#lose(1006, error);
  }

  #refuse(error: AnitaError): void {
    this.#error = error;
    this.#input('refused');
    this.#report(error);
  }

  /** The socket closed: what the code and the reason ask for. */
  #closed(code: number, text: string): void {
    const { code: reason, retry_after_ms: retryAfterMs } = readReason(text);
    const wasOpen = this.state !== 'connecting';
    const known = closeCodes[code];
    const isForAuth = code === 4401 || (code > 4500 && code < 4510);
    const word =
      reason ?? known?.code ?? (code < 3000 ? (wasOpen ? 'connection_lost' : 'unreachable') : `close_${code}`);
    const meaning = known?.meaning ?? (wasOpen ? `The connection was lost (${code}).` : 'The server was not reached.');
    const error = new AnitaError(isForAuth ? 'auth' : 'connection', word, meaning, {
      retryable: !isFinal(code),
      retryAfterMs,
      remedy: adviceFor(code, wasOpen),
      details: { code, reason: text },
    });
    this.#lose(code, error, isForAuth ? (this.#refusal ?? error) : error);
  }

  /** This connection is over; whether there will be another is the machine's to say. */
  #lose(code: number, error: AnitaError, cause = error): void {
    const hadSocket = this.#socket !== undefined;
    const away = this.#awayUntil - Date.now();
    const retryAfterMs = error.retryAfterMs ?? (away > 0 ? away : undefined);
    this.#error = cause;
    this.#input({ lost: code, retryAfterMs });
    const willReconnect = this.state !== 'failed';
    // What the server had said of the token is told already; a normal close is no failure.
    if (cause === error && code !== 1000) this.#report(error);
    if (!hadSocket) return;
    this.#events.emit('close', {
      code,
      reason: error.code,
      willReconnect,
      retryInMs: this.#retryAt && this.#retryAt - Date.now(),
      advice: error.remedy,
    });
  }

  // What comes in.

  #receive(frame: unknown): void {
    this.#heardAt = this.#stats.lastMessageAt = Date.now();
    this.#stats.received++;
    this.#stats.bytes += typeof frame === 'string' ? frame.length : 0;
    const envelope = decode(frame);
    if (envelope instanceof AnitaError) {
      this.#stats.invalid++;
      this.#report(envelope);
      return;
    }
    this.#events.emit('message', envelope, frame as string);
    if (!this.#socket) return;
    const { type, payload, id } = envelope;
    const pending = this.#pending.get(String(id));
    const fault = this.#fault(type, payload);
    if (fault) {
      this.#stats.invalid++;
      this.#report(fault);
      pending?.reject(fault);
      return;
    }
    if (type === 'error') {
      this.#refused(payload as ServerMessages['error'], pending);
      return;
    }
    this.#heed(type, payload);
    pending?.resolve(payload);
    this.#rooms.note(envelope);
    this.#views.note(envelope);
    // The names of the client's own events have no dot: a message never passes for one of them.
    const isHeard =
      type.includes('.') && this.#events.emit(type as 'system.heartbeat', payload as never, envelope as never);
    if (!isHeard && !shapeOf(type)) this.#stats.unknown++;
  }

  /** The messages that concern the connection itself. */
  #heed(type: string, payload: unknown): void {
    switch (type) {
      case 'system.auth_required':
        if (this.#granted !== undefined) this.#input('challenged');
        else
          this.#refuse(new AnitaError('auth', 'unauthenticated', 'The server asks for a token.', { remedy: signIn }));
        break;
      case 'system.connection':
        this.#welcomed(payload as Hello);
        break;
      case 'system.token_refreshed':
        this.#scheduleRefresh((payload as ServerMessages['system.token_refreshed']).expires_at);
        break;
      case 'system.reconnect':
        this.#awayUntil = Date.now() + (payload as ServerMessages['system.reconnect']).retry_after_ms;
        break;
      case 'system.heartbeat':
        // Heard even where the timers of a hidden page are slowed down.
        this.#pingIfQuiet();
    }
  }

  #refused(payload: ServerMessages['error'], pending: Pending | undefined): void {
    const { code, message, retryable, retry_after_ms: retryAfterMs, details } = payload;
    const error = new AnitaError(kindOf(code), code, message, { retryable, retryAfterMs, details });
    if (error.kind === 'auth') this.#refusal = error;
    if (!pending && retryAfterMs !== undefined) this.#awayUntil = Date.now() + retryAfterMs;
    pending?.reject(error);
    this.#report(error);
  }

  #welcomed(hello: Hello): void {
    if (this.#hello) this.#stats.reconnects++;
    this.#hello = hello;
    this.#sentAt = Date.now();
    this.#error = this.#refusal = undefined;
    this.#awayUntil = 0;
    this.#input('welcomed');
    if (this.state !== 'online') return;
    this.#ready?.resolve(hello);
    this.#ready = undefined;
    this.#after('stable', this.#backoff.stableMs, () => {
      this.#input('stable');
    });
    this.#watch();
    this.#scheduleRefresh(hello.expires_at);
    this.#rooms.rejoin();
    this.#views.restore();
    for (const pending of this.#pending.values()) if (!pending.isSent) pending.isSent = this.#transmit(pending.text);
    this.#events.emit('open', hello);
  }

  // Whether the other side is alive.

  get #heartbeatMs(): number {
    return (this.#hello?.heartbeat_interval_secs ?? 25) * 1_000;
  }

  #watch(): void {
    this.#after('watch', this.#heartbeatMs / 4, () => {
      this.#watch();
      this.#judgeSilence(SILENT_HEARTBEATS_MAX * this.#heartbeatMs);
      this.#pingIfQuiet();
    });
  }

  #judgeSilence(msMax: number): void {
    if (this.state !== 'online' || Date.now() - this.#heardAt <= msMax) return;
    this.#lose(4410, new AnitaError('timeout', 'silence', 'The server is silent.', unreachable));
  }

  #pingIfQuiet(): void {
    if (this.state === 'online' && Date.now() - this.#sentAt >= this.#heartbeatMs) this.#ping();
  }

  #ping(): void {
    const sentAt = Date.now();
    this.#ask('ping', {}, {}, true).then(
      () => (this.#stats.rttMs = Date.now() - sentAt),
      () => undefined,
    );
  }

  readonly #onPage = ({ type }: { readonly type: string }): void => {
    if (type === 'online' || type === 'offline') this.#input({ network: type === 'online' });
    // A timer of a hidden page may be late.
    if (this.#retryAt !== undefined && this.#retryAt <= Date.now()) this.retryNow();
    this.#judgeSilence(SILENT_HEARTBEATS_MAX * this.#heartbeatMs);
    if (this.state !== 'online') return;
    // The network or the page was away: is the connection still there?
    const now = Date.now();
    this.#ping();
    this.#after('probe', PROBE_MS, () => {
      if (this.#heardAt < now) this.#judgeSilence(0);
    });
  };

  // The token of the present connection is replaced before it runs out.

  #scheduleRefresh(expiresAt: string): void {
    if (typeof this.#token !== 'function') return;
    const ms = Date.parse(expiresAt) - Date.now() - REFRESH_BEFORE_MS;
    this.#after('refresh', ms > REFRESH_PAUSE_MS ? ms : REFRESH_PAUSE_MS, () => void this.#refresh());
  }

  async #refresh(): Promise<void> {
    const mine = this.#generation;
    try {
      const token = await this.#askToken('refresh');
      if (mine === this.#generation && token) await this.request('authenticate', { token });
    } catch (thrown) {
      if (mine !== this.#generation) return;
      // What the server refuses is told already; when the token runs out, it closes, and a fresh one is asked for.
      if (!(thrown instanceof AnitaError)) this.#tokenFailed(thrown);
      if (this.state === 'online') this.#scheduleRefresh('');
    }
  }

  // What goes out.

  #ask(
    type: string,
    payload: unknown,
    options: RequestOptions,
    isQuiet = false,
    onAnswer?: (answer: never) => void,
  ): Promise<never> {
    const { timeoutMs = this.#options.requestTimeoutMs ?? 10_000, signal } = options;
    return new Promise<never>((resolve, reject) => {
      const id = String(++this.#lastId);
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#pending.delete(id);
      };
      const fail = (error: AnitaError): void => {
        end();
        reject(error);
      };
      const failAloud = (error: AnitaError): void => {
        fail(error);
        if (!isQuiet) this.#report(error);
      };
      const abort = (): void => {
        fail(new AnitaError('connection', 'aborted', `${type} was given up.`, { cause: signal?.reason }));
      };
      const timer = setTimeout(() => {
        const message = `${type} was not answered within ${timeoutMs} ms.`;
        failAloud(new AnitaError('timeout', 'timeout', message, later));
      }, timeoutMs);

      const fault = this.#fault(type, payload);
      const isOnline = this.state === 'online';
      if (fault) failAloud(fault);
      else if (this.state === 'closed') fail(closed());
      else if (this.state === 'failed') fail(this.#error ?? closed());
      else if (signal?.aborted) abort();
      else if (!isOnline && this.#pending.size >= QUEUED_MAX) {
        const message = `${QUEUED_MAX} requests wait for the connection already.`;
        failAloud(new AnitaError('connection', 'queue_full', message, later));
      } else {
        signal?.addEventListener('abort', abort);
        const text = JSON.stringify({ type, payload, id });
        this.#pending.set(id, {
          text,
          isSent: isOnline && this.#transmit(text),
          resolve: (answer) => {
            end();
            onAnswer?.(answer as never);
            resolve(answer as never);
          },
          reject: fail,
        });
      }
    });
  }

  #transmit(text: string): boolean {
    if (!this.#socket) return false;
    this.#socket.send(text);
    this.#sentAt = Date.now();
    this.#stats.sent++;
    this.#events.emit('sent', redact(text));
    return true;
  }

  #fault(type: string, payload: unknown): AnitaError | undefined {
    return this.#options.validate === false ? undefined : check(type, payload);
  }

  #report(error: AnitaError): void {
    this.#events.emit('error', error);
  }

  #after(name: TimerName, ms: number, task: () => void): void {
    this.#stop(name);
    this.#timers.set(
      name,
      setTimeout(
        () => {
          this.#timers.delete(name);
          task();
        },
        Math.min(ms, TIMER_MS_MAX),
      ),
    );
  }

  #stop(name: TimerName): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

const networkEvents = ['online', 'offline', 'pageshow', 'visibilitychange'] as const;
const signIn = 'Sign in.';
const unreachable = { retryable: true, remedy: CHECK_SERVER };
const later = { retryable: true, remedy: 'Try again.' };

function closed(): AnitaError {
  return new AnitaError('connection', 'closed', 'The client is closed.', { remedy: 'Make a new client.' });
}

function disconnected(): AnitaError {
  const message = 'The connection was lost before the answer came.';
  return new AnitaError('connection', 'disconnected', message, later);
}

function adviceFor(code: number, wasOpen: boolean): string {
  if (code === 4401 || code === 4509) return 'Sign in again, or come back with a fresh token.';
  if (isFinal(code)) return 'The client stays away: mend the cause, then connect again.';
  return wasOpen ? 'The client comes back by itself.' : CHECK_SERVER;
}

/** The reason of a close: JSON of at most 123 bytes, or whatever a proxy says. */
function readReason(text: string): { code?: string; retry_after_ms?: number } {
  try {
    return Object(JSON.parse(text)) as { code?: string; retry_after_ms?: number };
  } catch {
    return text ? { code: text } : {};
  }
}

function deferred<T>(): { promise: Promise<T>; resolve(value: T): void; reject(error: AnitaError): void } {
  let resolve!: (value: T) => void;
  let reject!: (error: AnitaError) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Whoever does not wait for the connection hears of its failure by the `error` event.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
