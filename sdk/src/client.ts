import { delayMs, type Backoff } from './backoff.js';
import { Emitter, type ListenOptions } from './emitter.js';
import { decode, redact, type Envelope, type EnvelopeOf } from './envelope.js';
import { AnitaError, fault } from './errors.js';
import { isFinal, machine, step, type Effect, type Input, type Machine, type State } from './machine.js';
import {
  networkEvents,
  type Network,
  type PageEvent,
  type Socket,
  type SocketEvent,
  type WebSocketConstructor,
} from './socket.js';
import { check, shapeOf } from './validate.js';
import type { Requests, ServerMessages } from './wire.gen.js';

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
  /** What tells of the network and of the page; the window by default, `null` for none. */
  network?: Network | null;
  /** How much may wait in the socket, bytes; above it `send()` says `false` and requests are refused. @default 1_048_576 */
  bufferedBytesMax?: number;
}

export interface RequestOptions {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** What is built on the client may want more. */
export interface AskOptions<Answer> extends RequestOptions {
  /** Hears the answer before any later message is told; the promise may be later. */
  onAnswer?: (answer: Answer) => void;
}

/** How a connection ended, and what comes next. */
export interface CloseInfo {
  code: number;
  /** The stable word of the reason, as the server says it, or `connection_lost`, `unreachable`, `page_hidden`, … */
  reason: string;
  willReconnect: boolean;
  retryInMs?: number | undefined;
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
  /** 0 before the first. */
  lastMessageAt: number;
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
}

/** All events: the client's own, and each message of the server by its type. */
export type Events = ClientEvents & {
  [Type in Exclude<keyof ServerMessages, keyof ClientEvents>]: [
    payload: ServerMessages[Type],
    envelope: EnvelopeOf<Type>,
  ];
};

interface Pending {
  isSent: boolean;
  send(): boolean;
  resolve(answer: unknown): void;
  reject(error: AnitaError): void;
}

type TimerName = 'connect' | 'retry' | 'stable' | 'watch' | 'refresh' | 'probe';

const QUEUED_MAX = 100;
const REFRESH_BEFORE_MS = 30_000;
const REFRESH_PAUSE_MS = 5_000;
const PROBE_MS = 5_000;
const DRAIN_MS = 20;
const SILENT_HEARTBEATS_MAX = 2.5;
const TIMER_MS_MAX = 2 ** 31 - 1;

const defaults = {
  validate: true,
  requestTimeoutMs: 10_000,
  connectTimeoutMs: 10_000,
  bufferedBytesMax: 2 ** 20,
  random: Math.random,
};

/** A connection to ANITA that keeps itself alive. */
export class AnitaClient {
  declare readonly url: string;
  readonly #stats: Stats = { received: 0, sent: 0, bytes: 0, reconnects: 0, unknown: 0, invalid: 0, lastMessageAt: 0 };
  readonly #options: ClientOptions & typeof defaults;
  readonly #backoff: Backoff;
  readonly #network: Partial<Network> | null;
  readonly #events = new Emitter<Events>();
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
  #hello: Hello | undefined;
  #error: AnitaError | undefined;
  /** What the server said of the token before it closed this connection. */
  #refusal: AnitaError | undefined;
  #retryAt: number | undefined;
  /** Until when the server asked to stay away, if it said so before it closed. */
  #awayUntil = 0;
  #sentAt = 0;
  #lastId = 0;

  constructor(url: string | URL, options: ClientOptions = {}) {
    this.url = String(url);
    this.#options = { ...defaults, ...options };
    this.#backoff = { baseMs: 500, capMs: 20_000, stableMs: 5_000, ...options.backoff };
    this.#network = options.network === undefined ? globalThis : options.network;
    this.#token = options.token;
    this.#machine = machine(typeof options.token !== 'string', this.#network?.navigator?.onLine !== false);
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

  /** Bytes that were sent and wait in the socket. */
  get bufferedAmount(): number {
    return this.#socket?.bufferedAmount ?? 0;
  }

  stats(): Stats {
    return { ...this.#stats };
  }

  /** Connects, and stays connected. Fulfilled when online; rejected when that cannot be. */
  connect(): Promise<Hello> {
    if (this.state !== 'closed') {
      for (const type of networkEvents) this.#network?.addEventListener?.(type, this.#onPage);
      this.#input('connect');
    }
    const online = this.#online();
    // Whoever does not wait for the connection hears of its failure by the `error` event.
    online.catch(() => undefined);
    return online;
  }

  async #online(): Promise<Hello> {
    while (this.state !== 'online' || !this.#hello) {
      const end = this.#end();
      if (end) throw end;
      await new Promise((resolve) => this.#events.on('state', resolve, { once: true }));
    }
    return this.#hello;
  }

  /** Ends everything, and forgets token, rooms and timers. There is no way back. */
  close(): void {
    if (this.state === 'closed') return;
    const hadSocket = this.#socket;
    this.#error = fault('closed');
    this.#token = undefined;
    this.#input('close');
    if (hadSocket) this.#events.emit('close', { code: 1000, reason: 'normal', willReconnect: false });
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
    options: AskOptions<Requests[Name]['answer']> = {},
  ): Promise<Requests[Name]['answer']> {
    return this.#ask(name, payload, options);
  }

  /** Sends a message without waiting for an answer. `false` when it was not sent: not online, not valid, or too much waits. */
  send(type: string, payload: object): boolean {
    const invalid = this.#check(type, payload);
    if (invalid) this.#report(invalid);
    return !invalid && this.#mayAsk() && this.#say(type, payload);
  }

  /** Sends a text as it is. `false` when it was not sent: not online, or too much waits. */
  sendText(text: string): boolean {
    return this.#mayAsk() && this.#transmit(text);
  }

  /** Fulfilled when `send()` will do: online, and less than half of what may wait in the socket does. */
  async drained(): Promise<void> {
    // No socket tells when it is through.
    for (await this.#online(); !this.#mayAsk(2); await this.#online()) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_MS));
    }
  }

  // What happens to the connection: one step of the machine, then its effects.

  #input(input: Input): void {
    const was = this.state;
    const [next, effects] = step(this.#machine, input);
    this.#machine = next;
    // A timer belongs to its state; the time for connecting covers authentication.
    if (next.state !== was && next.state !== 'authenticating') {
      this.#retryAt = undefined;
      for (const [name] of this.#timers) this.#stop(name);
    }
    for (const effect of effects) this.#perform(effect, input);
    if (next.state === was) return;
    this.#events.emit('state', next.state, was);
    // Nothing comes after the end, unless the application connects anew.
    if (!this.#end()) return;
    for (const type of networkEvents) this.#network?.removeEventListener?.(type, this.#onPage);
  }

  /** What is said to whoever asks after the end. */
  #end(): AnitaError | undefined {
    return this.state === 'closed' || this.state === 'failed' ? this.#error : undefined;
  }

  #perform(effect: Effect, input: Input): void {
    if (effect === 'authenticate') {
      this.#say('authenticate', { token: this.#granted });
    } else if (effect === 'hangUp') {
      this.#hangUp((input as { lost?: number }).lost);
    } else if ('dial' in effect) {
      this.#asking = new AbortController();
      this.#after('connect', this.#options.connectTimeoutMs, () => {
        this.#lose(4408, fault('connect_timeout', 'timeout'));
      });
      void this.#dial(effect.dial, ++this.#generation);
    } else {
      const ms = delayMs(effect.wait, this.#backoff, this.#options.random, effect.retryAfterMs);
      this.#retryAt = Date.now() + ms;
      this.#after('retry', ms, () => {
        this.#input('retry');
      });
    }
  }

  /** Lets go of the socket, of the asking for a token, and of what was asked of the server. */
  #hangUp(lost = 0): void {
    const socket = this.#socket;
    this.#generation++;
    this.#socket = this.#granted = undefined;
    this.#asking.abort();
    // A peer that is silent does not answer a close either.
    if (lost && socket?.terminate) socket.terminate();
    else socket?.close(lost < 3000 ? 1000 : lost);
    const gone = fault('disconnected', 'connection', { retryable: true });
    for (const pending of [...this.#pending.values()]) {
      // What was not sent waits for the next connection, unless there is none.
      const why = pending.isSent ? gone : this.#end();
      if (why) pending.reject(why);
    }
  }

  async #dial(reason: 'connect' | 'rejected', mine: number): Promise<void> {
    const isMine = (): boolean => mine === this.#generation;
    try {
      const token = await this.#askToken(reason);
      if (!isMine()) return;
      this.#granted = token;
    } catch (thrown) {
      if (isMine()) this.#tokenFailed(thrown);
      return;
    }
    try {
      const { WebSocket = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket } = this.#options;
      if (!WebSocket) throw new Error('there is none here: pass that of `ws`');
      const socket = (this.#socket = new WebSocket(this.url, 'anita.v1'));
      const on = (type: Parameters<Socket['addEventListener']>[0], hear: (event: SocketEvent) => void): void => {
        socket.addEventListener(type, (event) => {
          if (isMine()) hear(event);
        });
      };
      this.#refusal = undefined;
      on('open', () => {
        this.#input('opened');
      });
      on('message', ({ data }) => {
        this.#receive(data);
      });
      on('close', ({ code = 1006, reason = '' }) => {
        this.#closed(code, reason);
      });
      // A close follows, and says more.
      on('error', () => undefined);
    } catch (cause) {
      this.#refuse(fault('no_socket', 'connection', { cause }));
    }
  }

  async #askToken(reason: TokenAsk['reason']): Promise<string | undefined> {
    const { signal } = this.#asking;
    const token = typeof this.#token === 'function' ? await this.#token({ reason, signal }) : this.#token;
    if (!token && this.#token !== undefined) throw new Error('there is none');
    return token;
  }

  #tokenFailed(cause: unknown): void {
    const retryable = (cause as { fatal?: unknown } | null | undefined)?.fatal !== true;
    const error = fault('token_failed', 'auth', { cause, retryable });
    if (!retryable) this.#refuse(error);
    else if (this.state === 'online') this.#report(error);
    else this.#lose(1006, error);
  }

  #refuse(error: AnitaError): void {
    this.#error = error;
    this.#input('refused');
    this.#report(error);
  }

  /** The socket closed: what the code and the reason ask for. */
  #closed(code: number, reason: string): void {
    const { code: told, retry_after_ms: retryAfterMs } = readReason(reason);
    const isOfToken = code === 4401 || (code > 4500 && code < 4510);
    const word =
      told ?? (code >= 3000 ? `close_${code}` : this.state === 'connecting' ? 'unreachable' : 'connection_lost');
    const more = { retryable: !isFinal(code), retryAfterMs, details: { code, reason } };
    const error = fault(word, isOfToken ? 'auth' : 'connection', more);
    this.#lose(code, error, isOfToken ? this.#refusal : undefined);
  }

  /** This connection is over; whether there will be another is the machine's to say. */
  #lose(code: number, error: AnitaError, cause = error): void {
    const hadSocket = this.#socket;
    const away = this.#awayUntil - Date.now();
    this.#error = cause;
    this.#input({ lost: code, retryAfterMs: error.retryAfterMs ?? (away > 0 ? away : undefined) });
    const willReconnect = this.state !== 'failed';
    // What the server had said of the token is told already; a normal close is no failure.
    if (cause === error && code !== 1000) this.#report(error);
    const retryInMs = this.#retryAt && this.#retryAt - Date.now();
    if (hadSocket) this.#events.emit('close', { code, reason: error.code, willReconnect, retryInMs });
  }

  // What comes in.

  #receive(frame: unknown): void {
    const text = String(frame);
    this.#stats.lastMessageAt = Date.now();
    this.#stats.received++;
    this.#stats.bytes += text.length;
    const envelope = decode(frame);
    if (envelope instanceof AnitaError) {
      this.#stats.invalid++;
      this.#report(envelope);
      return;
    }
    this.#events.emit('message', envelope, text);
    if (!this.#socket) return;
    const { type, payload, id } = envelope;
    const pending = this.#pending.get(String(id));
    const invalid = this.#check(type, payload);
    if (invalid) {
      this.#stats.invalid++;
      this.#report(invalid);
      pending?.reject(invalid);
    } else if (type === 'error') {
      this.#refused(payload as ServerMessages['error'], pending);
    } else {
      this.#heed(type, payload);
      pending?.resolve(payload);
      // The names of the client's own events have no dot: a message never passes for one of them.
      const isHeard =
        type.includes('.') && this.#events.emit(type as 'system.heartbeat', payload as never, envelope as never);
      if (!isHeard && !shapeOf(type)) this.#stats.unknown++;
    }
  }

  /** The messages that concern the connection itself. */
  #heed(type: string, payload: unknown): void {
    switch (type) {
      case 'system.auth_required':
        if (this.#granted !== undefined) this.#input('challenged');
        else this.#refuse(fault('unauthenticated', 'auth'));
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
    const kind = /token|unauth/.test(code) ? 'auth' : 'server';
    const error = new AnitaError(kind, code, message, { retryable, retryAfterMs, details });
    if (kind === 'auth') this.#refusal = error;
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
    this.#after('stable', this.#backoff.stableMs, () => {
      this.#input('stable');
    });
    this.#watch();
    this.#scheduleRefresh(hello.expires_at);
    for (const pending of this.#pending.values()) if (!pending.isSent) pending.isSent = pending.send();
    this.#events.emit('open', hello);
  }

  // Whether the other side is alive.

  #heartbeatMs(): number {
    return (this.#hello?.heartbeat_interval_secs ?? 25) * 1_000;
  }

  #watch(): void {
    this.#after('watch', this.#heartbeatMs() / 4, () => {
      this.#watch();
      this.#judgeSilence();
      this.#pingIfQuiet();
    });
  }

  #judgeSilence(msMax = SILENT_HEARTBEATS_MAX * this.#heartbeatMs()): void {
    if (this.state === 'online' && Date.now() - this.#stats.lastMessageAt > msMax) {
      this.#lose(4410, fault('silence', 'timeout'));
    }
  }

  #pingIfQuiet(): void {
    if (this.state === 'online' && Date.now() - this.#sentAt >= this.#heartbeatMs()) this.#ping();
  }

  #ping(): void {
    const sentAt = Date.now();
    const onAnswer = (): void => {
      this.#stats.rttMs = Date.now() - sentAt;
    };
    this.#ask('ping', {}, { onAnswer }, true).catch(() => undefined);
  }

  readonly #onPage = ({ type, persisted }: PageEvent): void => {
    if (type === 'pagehide') {
      // A page with an open socket is not kept.
      if (persisted) this.#lose(1000, fault('page_hidden', 'connection', { retryable: true }));
      return;
    }
    if (type === 'online' || type === 'offline') this.#input({ network: type === 'online' });
    // A timer of a hidden page may be late.
    if (persisted || (this.#retryAt !== undefined && this.#retryAt <= Date.now())) this.retryNow();
    this.#judgeSilence();
    if (this.state !== 'online') return;
    // The network or the page was away: is the connection still there?
    const now = Date.now();
    this.#ping();
    this.#after('probe', PROBE_MS, () => {
      if (this.#stats.lastMessageAt < now) this.#judgeSilence(0);
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

  #ask(type: string, payload: unknown, options: AskOptions<never>, isQuiet = false): Promise<never> {
    const { timeoutMs = this.#options.requestTimeoutMs, signal, onAnswer } = options;
    return new Promise<never>((resolve, reject) => {
      const id = String(++this.#lastId);
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#pending.delete(id);
      };
      const fail = (error: AnitaError): void => {
        done();
        reject(error);
      };
      const failAloud = (error: AnitaError): void => {
        fail(error);
        if (!isQuiet) this.#report(error);
      };
      const abort = (): void => {
        fail(fault('aborted', 'connection', { cause: signal?.reason }));
      };
      const timer = setTimeout(() => {
        failAloud(fault('timeout', 'timeout', { details: { type, timeoutMs } }));
      }, timeoutMs);

      const isOnline = this.state === 'online';
      const invalid = this.#check(type, payload);
      const end = this.#end();
      if (invalid) failAloud(invalid);
      else if (end) fail(end);
      else if (signal?.aborted) abort();
      else if (isOnline ? !this.#mayAsk() : this.#pending.size >= QUEUED_MAX) {
        failAloud(fault('queue_full', 'connection', { retryable: true }));
      } else {
        signal?.addEventListener('abort', abort);
        this.#pending.set(id, {
          isSent: isOnline && this.#say(type, payload, id),
          send: () => this.#say(type, payload, id),
          resolve: (answer) => {
            done();
            onAnswer?.(answer as never);
            resolve(answer as never);
          },
          reject: fail,
        });
      }
    });
  }

  /** Whether there is a connection, and no more waits in its socket than may, or than a part of that. */
  #mayAsk(part = 1): boolean {
    return this.state === 'online' && this.bufferedAmount <= this.#options.bufferedBytesMax / part;
  }

  #say(type: string, payload: unknown, id?: string): boolean {
    return this.#transmit(JSON.stringify({ type, payload, id }));
  }

  #transmit(text: string): boolean {
    if (!this.#socket) return false;
    this.#socket.send(text);
    this.#sentAt = Date.now();
    this.#stats.sent++;
    this.#events.emit('sent', redact(text));
    return true;
  }

  #check(type: string, payload: unknown): AnitaError | undefined {
    return this.#options.validate ? check(type, payload) : undefined;
  }

  #report(error: AnitaError): void {
    this.#events.emit('error', error);
  }

  #after(name: TimerName, ms: number, task: () => void): void {
    this.#stop(name);
    const run = (): void => {
      this.#timers.delete(name);
      task();
    };
    this.#timers.set(name, setTimeout(run, Math.min(ms, TIMER_MS_MAX)));
  }

  #stop(name: TimerName): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

/** The reason of a close: JSON of at most 123 bytes, or whatever a proxy says. */
function readReason(text: string): { code?: string; retry_after_ms?: number } {
  try {
    return Object(JSON.parse(text)) as { code?: string; retry_after_ms?: number };
  } catch {
    return text ? { code: text } : {};
  }
}
