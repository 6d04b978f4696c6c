// What depends on time alone, with a clock that the test moves.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AnitaClient, type AnitaError, type ClientOptions, type CloseInfo, type TokenAsk } from '../src/index.js';
import { FakeServer, FakeWindow, ManualClock, hello } from '../src/testing.js';

const URL = 'wss://plant.test/ws/uwb';

let server: FakeServer;
let clock: ManualClock;
let network: FakeWindow;
let anita: AnitaClient;
let errors: AnitaError[];
let closes: CloseInfo[];

function make(options: ClientOptions = {}): void {
  network = new FakeWindow();
  anita = new AnitaClient(URL, { WebSocket: server.WebSocket, network, random: () => 0.5, ...options });
  errors = [];
  closes = [];
  anita.on('error', (error) => errors.push(error));
  anita.on('close', (info) => closes.push(info));
}

async function connect(options: ClientOptions = {}, more: object = {}): Promise<void> {
  make(options);
  void anita.connect();
  await clock.advance(0);
  server.last.welcome(more);
  expect(anita.state).toBe('online');
}

const pass = (seconds: number) => clock.advance(seconds * 1_000);
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toISOString();

beforeEach(() => {
  clock = new ManualClock().install();
  server = new FakeServer();
});
afterEach(() => {
  anita.close();
  expect(clock.timers, 'timers left after close').toBe(0);
  clock.uninstall();
});

describe('silence', () => {
  test('a server that is silent for 2.5 heartbeats is left, once', async () => {
    await connect({}, { heartbeat_interval_secs: 4 });
    await pass(10);
    expect(anita.state).toBe('online');
    await pass(1.1);
    expect(anita.state).toBe('waiting');
    expect(errors).toMatchObject([{ kind: 'timeout', code: 'silence', retryable: true }]);
    expect(closes).toMatchObject([{ code: 4410, willReconnect: true }]);
    expect(server.last.closedWith).toBe(4410);
  });

  test('any message is a sign of life', async () => {
    await connect({}, { heartbeat_interval_secs: 4 });
    for (let n = 0; n < 10; n++) {
      await pass(8);
      server.last.tell('acme.anything');
    }
    expect(anita.state).toBe('online');
  });

  test('the hello of a reconnect may name another interval', async () => {
    await connect({}, { heartbeat_interval_secs: 100 });
    server.last.fire('close', { code: 1006 });
    await pass(1);
    server.last.welcome({ heartbeat_interval_secs: 1 });
    await pass(3);
    expect(closes.at(-1)).toMatchObject({ code: 4410 });
  });

  test('a client that has nothing to say pings, well before two heartbeats are over', async () => {
    await connect({}, { heartbeat_interval_secs: 20 });
    const socket = server.last;
    for (let n = 1; n <= 5; n++) {
      await pass(21);
      expect(socket.heard('ping')).toHaveLength(n);
      const { id } = socket.heard('ping').at(-1)!;
      await pass(0.2);
      socket.tell('system.pong', { server_time: 't' }, { id });
    }
    await pass(0);
    expect(anita.stats().rttMs).toBeGreaterThanOrEqual(200);
    expect(errors).toEqual([]);
  });

  test('a client that speaks anyway does not ping', async () => {
    await connect({}, { heartbeat_interval_secs: 20 });
    for (let n = 0; n < 20; n++) {
      await pass(10);
      anita.send('get_active_devices', {});
      server.last.tell('system.heartbeat', { server_time: 't', uptime_seconds: n });
    }
    expect(server.last.heard('ping')).toEqual([]);
  });
});

describe('the page and the network', () => {
  test('a page that slept looks at the clock when it wakes', async () => {
    await connect({}, { heartbeat_interval_secs: 10 });
    clock.nowMs += 3_600_000;
    network.say('visibilitychange');
    expect(anita.state).toBe('waiting');
    expect(closes).toMatchObject([{ code: 4410 }]);
  });

  test.each(['visibilitychange', 'pageshow', 'online', 'offline'])(
    '%s: asks whether the server is there',
    async (type) => {
      await connect();
      await pass(6);
      network.say(type);
      expect(server.last.heard('ping')).toHaveLength(1);
      server.last.tell('system.heartbeat', { server_time: 't', uptime_seconds: 1 });
      await pass(6);
      expect(anita.state).toBe('online');

      network.say(type);
      await pass(5.1);
      expect(anita.state).toBe(type === 'offline' ? 'offline' : 'waiting');
    },
  );

  test('without a network nothing is tried; with it, at once', async () => {
    await connect();
    server.last.fire('close', { code: 1006 });
    expect(anita.state).toBe('waiting');
    network.say('offline');
    expect(anita.state).toBe('offline');
    expect(anita.retryAt).toBeUndefined();
    await pass(600);
    expect(server.connections).toHaveLength(1);
    network.say('online');
    expect(anita.state).toBe('waiting');
    await pass(1);
    expect(server.connections).toHaveLength(2);
  });

  test('offline at the start is tried all the same: the server may be on this machine', async () => {
    make();
    network.navigator.onLine = false;
    anita = new AnitaClient(URL, { WebSocket: server.WebSocket, network });
    void anita.connect();
    await pass(0);
    expect(server.connections).toHaveLength(1);
    server.last.fire('close', { code: 1006 });
    expect(anita.state).toBe('offline');
  });

  test('a page that wakes after the time of the next attempt does not wait for its timer', async () => {
    await connect();
    server.last.fire('close', { code: 1006 });
    expect(anita.state).toBe('waiting');
    clock.nowMs += 60_000;
    network.say('visibilitychange');
    expect(anita.state).toBe('connecting');
  });

  test('a handler that closes on the first sign of life leaves no timer', async () => {
    make();
    anita.on('state', (now) => {
      if (now === 'online') anita.close();
    });
    void anita.connect();
    await pass(0);
    server.last.welcome();
    expect(anita.state).toBe('closed');
    expect(clock.timers).toBe(0);
  });

  test('listeners are gone after close', async () => {
    await connect();
    const removed = vi.spyOn(network, 'removeEventListener');
    anita.close();
    expect(removed.mock.calls.map(([type]) => type).sort()).toEqual([
      'offline',
      'online',
      'pagehide',
      'pageshow',
      'visibilitychange',
    ]);
  });
});

describe('generations', () => {
  test('what an old socket says is ignored', async () => {
    await connect();
    const old = server.last;
    old.fire('close', { code: 1006 });
    await pass(1);
    const now = server.last;
    expect(now).not.toBe(old);
    const told = vi.fn();
    anita.on('message', told);
    old.tell('system.connection', hello);
    old.fire('open');
    old.fire('close', { code: 4501 });
    old.fire('error');
    expect(told).not.toHaveBeenCalled();
    expect(anita.state).toBe('connecting');
    now.welcome();
    expect(anita.state).toBe('online');
  });

  test('a token that comes after the attempt was given up opens nothing', async () => {
    const give: ((token: string) => void)[] = [];
    make({ token: () => new Promise((resolve) => give.push(resolve)), connectTimeoutMs: 1_000 });
    void anita.connect();
    await pass(1.1);
    give[0]!('late');
    await pass(0);
    expect(server.connections).toHaveLength(0);
    await pass(0.3);
    expect(give).toHaveLength(2);
    give.at(-1)!('in time');
    await pass(0);
    expect(server.connections).toHaveLength(1);
  });
});

describe('attempts', () => {
  test('the count starts anew only after a stable time online', async () => {
    make();
    void anita.connect();
    await pass(0);
    for (const most of [500, 1_000, 2_000, 4_000]) {
      server.last.welcome();
      await pass(4.9);
      server.last.fire('close', { code: 1006 });
      expect(closes.at(-1)!.retryInMs).toBe(most / 2);
      await pass(most / 2 / 1_000);
    }
    server.last.welcome();
    await pass(5.1);
    server.last.fire('close', { code: 1006 });
    expect(closes.at(-1)!.retryInMs).toBe(250);
  });

  test('attempts never end by themselves', async () => {
    make();
    void anita.connect();
    for (let n = 0; n < 100; n++) {
      await pass(10);
      server.last.fire('close', { code: 1006 });
    }
    expect(anita.state).toBe('waiting');
    expect(closes.at(-1)!.retryInMs).toBe(10_000);
  });
});

describe('the token of a live connection', () => {
  const asks: TokenAsk['reason'][] = [];
  const token = ({ reason }: TokenAsk): string => {
    asks.push(reason);
    return `token${asks.length}`;
  };
  beforeEach(() => asks.splice(0));

  test('is replaced 30 s before it runs out, on the same socket, again and again', async () => {
    await connect({ token }, { expires_at: inSeconds(600), heartbeat_interval_secs: 300 });
    const socket = server.last;
    await pass(569);
    expect(asks).toEqual(['connect']);
    await pass(1.1);
    expect(asks).toEqual(['connect', 'refresh']);
    const [said] = socket.heard('authenticate');
    expect(said!.payload).toEqual({ token: 'token2' });
    socket.tell('system.token_refreshed', { expires_at: inSeconds(60), roles: [], permissions: [] }, { id: said!.id });
    await pass(31);
    expect(asks).toEqual(['connect', 'refresh', 'refresh']);
    expect(server.connections).toHaveLength(1);
    expect(errors).toEqual([]);
  });

  test('a plain text is not', async () => {
    await connect({ token: 'text' }, { expires_at: inSeconds(60), heartbeat_interval_secs: 300 });
    await pass(100);
    expect(server.last.heard('authenticate')).toEqual([]);
  });

  test('a wrong clock, or a token that is never fresh, does not make a storm', async () => {
    await connect({ token }, { expires_at: inSeconds(-900), heartbeat_interval_secs: 300 });
    await pass(60);
    expect(asks.length).toBeLessThanOrEqual(13);
  });

  test('a function that fails is asked again; a fatal failure ends the connection', async () => {
    let failures = 0;
    await connect(
      {
        token: ({ reason }) => {
          if (reason === 'connect') return 'first';
          throw Object.assign(new Error('no'), { fatal: ++failures === 2 });
        },
      },
      { expires_at: inSeconds(60), heartbeat_interval_secs: 300 },
    );
    await pass(31);
    expect(anita.state).toBe('online');
    expect(errors).toMatchObject([{ kind: 'auth', code: 'token_failed', retryable: true }]);
    await pass(5);
    expect(anita.state).toBe('failed');
    expect(anita.error).toMatchObject({ code: 'token_failed', retryable: false });
  });

  test('a far away end does not overflow the timer', async () => {
    await connect({ token }, { heartbeat_interval_secs: 300 });
    await pass(100);
    expect(asks).toEqual(['connect']);
  });
});
