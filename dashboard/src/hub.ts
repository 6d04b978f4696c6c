import { batch, computed, signal } from '@preact/signals';
import { AnitaClient, type AnitaError, type HistoryEntry, type RequestOptions, type State } from '@anita/client';
import { DeviceStore } from '@anita/client/store';

import { MessageLog, type Fault, type Next } from './log/log';
import {
  currentSession,
  loadSite,
  NO_SITE,
  Problem,
  signIn,
  signOut,
  socketAddress,
  type SessionInfo,
  type Site,
} from './session';
import { parseTime, ServerClock } from './time';
import { relayedSockets } from './socket/relay';
import { World } from './world';

/** Signed in, not signed in, or not known yet. */
export type Gate = 'asking' | 'closed' | 'open';

const PING_MS = 10_000;
/** How often the server is asked how old the positions are that it sends here. */
const FRESHNESS_MS = 5_000;
/** Positions of a device in a second, while the page is looked at and while it is not. */
const wantedHz = (): number => (document.hidden ? 1 : 10);
/** A session is made again at most this often: not at all where it does not hold, and after each of two quick restarts. */
const RENEW_MS = 3_000;
/** The close code of a session that was ended on purpose. */
const LOGGED_OUT = 4509;

/** Milliseconds; absent while no position came since the time before. */
export interface Freshness {
  readonly age: { readonly p50: number; readonly p99: number } | undefined;
  readonly dropped: number;
}

/** What there is to know of the link beside its state. */
export interface LinkFacts {
  /** When the state became what it is. */
  readonly since: number;
  /** Connections that were tried since the page was last online. */
  readonly attempts: number;
  readonly lastClose: { readonly code: number; readonly reason: string; readonly at: number } | null;
}

/** Counted since the page signed in. */
export interface Traffic {
  readonly received: number;
  readonly sent: number;
  /** Characters received. */
  readonly bytes: number;
  readonly reconnects: number;
}

/** The page's end of the hub: the session, the client of the SDK, and what of them the page shows. */
export class Hub {
  readonly gate = signal<Gate>('asking');
  readonly session = signal<SessionInfo | null>(null);
  readonly site = signal<Site>(NO_SITE);
  /** Why the sign-in form is shown, or what the last attempt met. */
  readonly problem = signal<Problem | null>(null);
  /** Permissions that this user had a moment ago on this page and has not any more; the page says so. */
  readonly narrowed = signal<readonly string[]>([]);

  readonly link = signal<State>('idle');
  readonly retryAt = signal<number | null>(null);
  readonly linkFacts = signal<LinkFacts>({ since: Date.now(), attempts: 0, lastClose: null });
  readonly rtt = signal<number | null>(null);
  /** How old positions are when the server hands them over, and how many it left out for this page, as it says. */
  readonly freshness = signal<Freshness | null>(null);
  /** When the newest device data came, on this computer's clock. */
  readonly dataAt = signal<number | null>(null);
  readonly live = computed(() => this.gate.value === 'open' && this.link.value === 'online');

  /** The local time, twice a second: for ages and countdowns. */
  readonly now = signal(Date.now());

  readonly clock = new ServerClock();
  readonly log = new MessageLog();
  readonly world = new World();

  readonly #sockets = relayedSockets((count) => {
    this.log.replaced(count);
    this.#replaced += count;
  });
  /** One client a session: a closed one stays closed. */
  #client: AnitaClient | undefined;
  #dataAt: number | null = null;
  /** Positions that newer ones replaced on their way from the worker. */
  #replaced = 0;
  #lastPing = 0;
  #lastAsked = 0;
  /** The name of the view that tells positions, on this connection. */
  #view: string | undefined;
  /** An `error` message of the server: the client tells of it as an `error` event right after. */
  #refusal: { readonly text: string; readonly id: string | undefined } | undefined;
  /** The last failure of the connection; the `close` event that follows it says nothing new. */
  #lost: AnitaError | undefined;
  #wantsGone = false;
  /**
   * The token of this page's own sign-in, to make the session anew after the server was restarted: it keeps sessions in
   * memory. It is never stored; a page that was reloaded has none.
   */
  #token: string | undefined;
  #renewedAt = -Infinity;

  constructor() {
    setInterval(() => {
      this.#tick();
    }, 500);
    document.addEventListener('visibilitychange', () => {
      if (this.live.peek()) this.#pace();
    });
  }

  /** Uses the token if the page was opened with one, else the session of this browser, else shows the form. */
  async start(token: string | undefined, failure?: Problem): Promise<void> {
    if (token !== undefined) {
      await this.signIn(token);
      return;
    }
    try {
      const isOpen = await this.#open();
      if (failure !== undefined) this.#logProblem(failure);
      if (isOpen) return;
      batch(() => {
        this.problem.value = failure ?? null;
        this.gate.value = 'closed';
      });
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Makes a session from a token and connects; what goes wrong is said in `problem` and in the log. */
  async signIn(token: string): Promise<void> {
    this.problem.value = null;
    try {
      await signIn(token);
      this.log.note({ word: 'signedIn' });
      this.#token = token;
      if (await this.#open()) return;
      throw new Problem(
        401,
        'no_session',
        'The token was accepted, but the browser did not keep the session.',
        'Allow cookies for this address, and open it as the server prints it.',
      );
    } catch (error) {
      this.#refuse(error);
    }
  }

  async signOut(): Promise<void> {
    this.#token = undefined;
    this.#letGo();
    try {
      await signOut();
      this.log.note({ word: 'signedOut' });
      // The issuer asks whether it is meant, and sends the browser back here.
      const elsewhere = this.session.value?.sign_out_at;
      if (elsewhere !== undefined) location.assign(elsewhere);
    } catch (error) {
      this.#logProblem(error);
    }
    this.world.clear();
    batch(() => {
      this.session.value = null;
      this.narrowed.value = [];
      this.problem.value = null;
      this.dataAt.value = this.#dataAt = null;
      this.site.value = NO_SITE;
      this.gate.value = 'closed';
    });
  }

  /** Does not wait for the next attempt; starts anew where the client had given up. */
  retryNow(): void {
    if (this.link.value === 'failed') this.#client?.connect().catch(ignore);
    else this.#client?.retryNow();
  }

  /** Sends a request and waits for its answer; the type may be one that only the server knows. */
  async ask(type: string, payload: object, signal?: AbortSignal): Promise<unknown> {
    if (this.#client === undefined) throw new Error('Not signed in.');
    const ask = this.#client.request.bind(this.#client) as (
      type: string,
      payload: object,
      options: RequestOptions,
    ) => Promise<unknown>;
    return ask(type, payload, signal === undefined ? {} : { signal });
  }

  async history(id: string, limit: number, signal: AbortSignal): Promise<readonly HistoryEntry[]> {
    if (this.#client === undefined) throw new Error('Not signed in.');
    return (await this.#client.request('get_location_history', { device_id: id, limit }, { signal })).history;
  }

  /** Sends a text as it is; `false` when there is no connection. */
  sendText(text: string): boolean {
    return this.#client?.sendText(text) ?? false;
  }

  traffic(): Traffic {
    const { received = 0, sent = 0, bytes = 0, reconnects = 0 } = this.#client?.stats() ?? {};
    return { received: received + this.#replaced, sent, bytes, reconnects };
  }

  /** The server's time, in milliseconds. */
  serverNow(): number {
    return this.clock.now(this.now.value);
  }

  async #open(): Promise<boolean> {
    const session = await currentSession();
    if (session === undefined) return false;
    if (session.serverTime !== undefined && Math.abs(session.serverTime - Date.now()) > 2_000) {
      this.clock.note(session.serverTime, Date.now());
    }
    batch(() => {
      this.#allow(session.info);
      this.problem.value = null;
      this.gate.value = 'open';
    });
    this.#loadSite();
    this.#connect();
    return true;
  }

  /** What is allowed from now on; what was allowed and is not any more is said, for pages and buttons go with it. */
  #allow(now: SessionInfo): void {
    const before = this.session.peek();
    batch(() => {
      this.session.value = now;
      if (before?.user_id !== now.user_id) {
        this.narrowed.value = [];
        return;
      }
      const lost = before.permissions.filter((one) => !now.permissions.includes(one));
      const still = this.narrowed.peek().filter((one) => !now.permissions.includes(one));
      this.narrowed.value = [...new Set([...still, ...lost])].sort();
      if (lost.length > 0) this.log.warn({ word: 'narrowed', what: lost.join(', ') });
    });
  }

  #loadSite(): void {
    loadSite().then(
      (site) => {
        this.site.value = site;
      },
      (error: unknown) => {
        this.log.warn({ word: 'noPlan', why: error instanceof Error ? error.message : String(error) });
      },
    );
  }

  #refuse(error: unknown): void {
    const problem = this.#logProblem(error);
    batch(() => {
      this.problem.value = problem;
      this.gate.value = 'closed';
    });
  }

  #logProblem(error: unknown): Problem {
    const problem =
      error instanceof Problem
        ? error
        : new Problem(0, 'internal', String(error), 'Reload the page; if it stays, report it.');
    this.log.error(problem.code, {
      fault: problem.status === 0 ? 'connection' : problem.status === 401 ? 'authentication' : 'server',
      cause: { by: 'page', message: problem.message, remedy: problem.remedy },
      next: { word: 'never' },
    });
    return problem;
  }

  #connect(): void {
    this.#letGo();
    const client = new AnitaClient(socketAddress(), { WebSocket: this.#sockets });
    this.#client = client;
    this.world.clear();
    const devices = new DeviceStore(client);
    this.world.attach(devices);
    this.#listen(client, devices);
    // Failures arrive as events as well.
    client.connect().catch(ignore);
  }

  /** Ends the client without listening to its last words. */
  #letGo(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.close();
    this.link.value = 'idle';
  }

  #listen(client: AnitaClient, devices: DeviceStore): void {
    const isOld = (): boolean => client !== this.#client;
    client.on('state', (now) => {
      if (isOld()) return;
      batch(() => {
        this.link.value = now;
        const { attempts } = this.linkFacts.peek();
        const tried = now === 'online' ? 0 : now === 'connecting' ? attempts + 1 : attempts;
        this.linkFacts.value = { ...this.linkFacts.peek(), since: Date.now(), attempts: tried };
        this.retryAt.value = client.retryAt ?? null;
        if (now !== 'online') this.rtt.value = this.freshness.value = null;
      });
      if (now === 'failed') void this.#checkSession();
    });
    client.on('open', ({ client_id, roles, permissions }) => {
      const session = this.session.value;
      if (session !== null) this.#allow({ ...session, client_id, roles, permissions });
      this.log.note({ word: client.stats().reconnects === 0 ? 'connected' : 'connectedAgain' });
      this.#lastPing = this.#lastAsked = 0;
      this.#view = undefined;
      void this.#look(client);
      this.#wantsGone = true;
    });
    client.on('message', ({ type, payload, id }, text) => {
      if (type === 'error') {
        this.#refusal = { text, id: id === undefined ? undefined : String(id) };
        return;
      }
      if (type.startsWith('uwb.') || type.startsWith('device.')) this.#dataAt = Date.now();
      const serverTime = parseTime((payload as { server_time?: unknown }).server_time);
      if (serverTime !== undefined) this.clock.note(serverTime, Date.now());
      this.log.received(type, text);
    });
    client.on('system.token_refreshed', ({ expires_at, roles, permissions }) => {
      const session = this.session.value;
      if (session !== null && !isOld()) this.#allow({ ...session, expires_at, roles, permissions });
    });
    client.on('system.pace', ({ dropped, age_ms: ms }) => {
      this.log.warn({ word: 'slow', positions: dropped, ms });
    });
    client.on('system.reconnect', ({ retry_after_ms: ms }) => {
      this.log.warn({ word: 'leaving', seconds: ms / 1_000 });
    });
    client.on('room.gap', ({ room, from_seq: from, to_seq: to }) => {
      this.log.warn({ word: 'missed', what: room, from, to });
    });
    client.on('sent', (text) => {
      this.log.sent(typeOf(text), text);
    });
    client.on('error', (error) => {
      if (!isOld()) this.#logError(client, error);
    });
    client.on('close', ({ code, reason }) => {
      // Who ended the session meant it: it is not made again behind their back.
      if (code === LOGGED_OUT) this.#token = undefined;
      this.linkFacts.value = { ...this.linkFacts.peek(), lastClose: { code, reason, at: Date.now() } };
      const lost = this.#lost;
      this.#lost = undefined;
      if (isOld() || lost?.code === reason) return;
      this.log.error(reason, {
        fault: 'connection',
        cause: { by: 'close', code },
        next: whatNext(client),
      });
    });
    client.on('uwb.device_list', ({ next }) => {
      if (next !== undefined || !this.#wantsGone || isOld()) return;
      this.#wantsGone = false;
      this.#listGone(client).catch(ignore);
    });
    devices.on('change', (ids) => {
      if (!isOld()) this.world.update(ids, performance.now());
    });
  }

  /**
   * Asks for positions as the picture needs them: all that moved in one message, ten times a second, and once a second
   * while nobody looks. The room tells what happens to devices, and need not tell the same positions one by one.
   */
  async #look(client: AnitaClient): Promise<void> {
    const view = { status: ['connected' as const, 'stale' as const, 'disconnected' as const] };
    const max_rate_hz = wantedHz();
    try {
      const [{ subscription }] = await Promise.all([
        client.request('subscribe', { view, fields: 'all', max_rate_hz, snapshot: false }),
        client.request('join_room', { room: 'uwb', positions: false }),
      ]);
      if (client !== this.#client) return;
      this.#view = subscription;
      if (max_rate_hz !== wantedHz()) this.#pace();
    } catch {
      // The refusal is told as an `error` event. Where there is no view, the room tells positions.
      client.request('join_room', { room: 'uwb', positions: true }).catch(ignore);
    }
  }

  /** Asks for another rate of the view, if there is one: at a refusal, which is told, it keeps the one that it has. */
  #pace(): void {
    const subscription = this.#view;
    if (subscription === undefined) return;
    this.#client?.request('update_subscription', { subscription, max_rate_hz: wantedHz() }).catch(ignore);
  }

  /** The client reads the devices that are heard of; when it is through, the disconnected ones are asked for as well. */
  async #listGone(client: AnitaClient): Promise<void> {
    let after: string | undefined;
    do {
      const page = { status: ['disconnected' as const], ...(after === undefined ? {} : { after }) };
      after = (await client.request('get_active_devices', page)).next;
    } while (after !== undefined);
  }

  #logError(client: AnitaClient, error: AnitaError): void {
    const told = this.#refusal;
    this.#refusal = undefined;
    const isOfLink = error.kind === 'connection' || client.state !== 'online';
    if (isOfLink) this.#lost = error;
    // A server that was started anew knows no sessions: the page makes its own again.
    const renews = error.code === 'unauthenticated' && this.#mayRenew();
    this.log.error(
      error.code,
      {
        fault: FAULT[error.kind],
        cause: { by: 'client', error },
        next: renews
          ? { word: 'retry' }
          : isOfLink
            ? whatNext(client)
            : error.kind === 'parse'
              ? { word: 'leftOut' }
              : again(error),
        ...(told?.id === undefined ? {} : { requestId: told.id }),
      },
      told?.text ?? frameOf(error),
    );
  }

  /** The client has given up. When that is because the session is over, it is made again, or the form comes back. */
  async #checkSession(): Promise<void> {
    const client = this.#client;
    try {
      if ((await currentSession()) !== undefined) {
        // The session was renewed, and only what the connection knew of it has run out.
        if (client?.error?.code === 'token_expired' && performance.now() - this.#renewedAt > RENEW_MS) {
          this.#renewedAt = performance.now();
          client.connect().catch(ignore);
        }
        return;
      }
      if (await this.#renew()) {
        client?.connect().catch(ignore);
        return;
      }
    } catch {
      // The server went away again meanwhile: the client finds out when it is back, and whether the session is.
      setTimeout(() => {
        if (client === this.#client && this.link.value === 'failed') client?.connect().catch(ignore);
      }, RENEW_MS);
      return;
    }
    batch(() => {
      this.problem.value = new Problem(
        401,
        client?.error?.code ?? 'unauthenticated',
        'Your session is over.',
        'Sign in again; the map shows what was last known.',
      );
      this.gate.value = 'closed';
    });
  }

  #mayRenew(): boolean {
    return this.#token !== undefined && performance.now() - this.#renewedAt >= RENEW_MS;
  }

  async #renew(): Promise<boolean> {
    if (this.#token === undefined || !this.#mayRenew()) return false;
    this.#renewedAt = performance.now();
    try {
      await signIn(this.#token);
    } catch (error) {
      if (!(error instanceof Problem) || error.status === 0) throw error;
      this.#token = undefined;
      return false;
    }
    this.log.note({ word: 'signedInAgain' });
    return true;
  }

  #tick(): void {
    batch(() => {
      this.now.value = Date.now();
      this.dataAt.value = this.#dataAt;
    });
    if (!this.live.value || document.hidden) return;
    if (Date.now() - this.#lastPing > PING_MS) void this.#ping();
    if (Date.now() - this.#lastAsked > FRESHNESS_MS) void this.#askFreshness();
  }

  async #askFreshness(): Promise<void> {
    const client = this.#client;
    this.#lastAsked = Date.now();
    try {
      const stats = await client?.request('get_connection_stats', {});
      if (stats === undefined || client !== this.#client || !this.live.value) return;
      this.freshness.value = { age: stats.age_ms, dropped: stats.positions_dropped };
    } catch {
      this.freshness.value = null;
    }
  }

  async #ping(): Promise<void> {
    const client = this.#client;
    this.#lastPing = Date.now();
    const begin = performance.now();
    try {
      await client?.request('ping', {});
      if (client === this.#client && this.live.value) this.rtt.value = performance.now() - begin;
    } catch {
      this.rtt.value = null;
    }
  }
}

const ignore = (): void => undefined;

/** What the client does by itself after it lost the connection. */
function whatNext(client: AnitaClient): Next {
  switch (client.state) {
    case 'waiting':
      return { word: 'retryIn', seconds: ((client.retryAt ?? 0) - Date.now()) / 1_000 };
    case 'offline':
      return { word: 'network' };
    case 'failed':
    case 'closed':
    case 'idle':
      return { word: 'never' };
    case 'connecting':
    case 'authenticating':
    case 'online':
      return { word: 'retry' };
  }
}

function again({ retryable, retryAfterMs: ms }: AnitaError): Next {
  if (!retryable) return { word: 'same' };
  return ms === undefined ? { word: 'later' } : { word: 'laterIn', seconds: ms / 1_000 };
}

/** The beginning of a frame that could not be read. */
function frameOf(error: AnitaError): string {
  const details = error.details as { text?: unknown } | undefined;
  return error.kind === 'parse' && typeof details?.text === 'string' ? details.text : '';
}

const FAULT: Record<AnitaError['kind'], Fault> = {
  connection: 'connection',
  parse: 'parsing',
  validation: 'validation',
  auth: 'authentication',
  server: 'server',
  timeout: 'timeout',
};

function typeOf(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string') {
      return value.type;
    }
  } catch {
    // Raw text that is no JSON on purpose.
  }
  return 'raw text';
}
