// What a page goes through: hidden, put away and brought back; and what is too much to send.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AnitaClient, debug, subscribe, type AnitaError, type CloseInfo } from '../src/index.js';
import { FakeServer, FakeWindow, ManualClock } from '../src/testing.js';

let clock: ManualClock;
let server: FakeServer;
let network: FakeWindow;
let anita: AnitaClient;
let closes: CloseInfo[];
let errors: AnitaError[];

beforeEach(async () => {
  clock = new ManualClock().install();
  server = new FakeServer();
  network = new FakeWindow();
  anita = new AnitaClient('wss://plant.test/ws', { WebSocket: server.WebSocket, network, bufferedBytesMax: 1_000 });
  closes = [];
  errors = [];
  anita.on('close', (info) => closes.push(info));
  anita.on('error', (error) => errors.push(error));
  void anita.connect();
  await clock.advance(0);
  server.last.welcome();
});
afterEach(() => {
  anita.close();
  expect(clock.timers).toBe(0);
  clock.uninstall();
  vi.unstubAllGlobals();
});

describe('the back/forward cache', () => {
  test('a page that is put away closes its socket, and comes back at once', async () => {
    network.say('pagehide', { persisted: true });
    expect(server.last.closedWith).toBe(1000);
    expect(closes).toMatchObject([{ code: 1000, reason: 'page_hidden', willReconnect: true }]);
    expect(errors).toEqual([]);
    network.say('pageshow', { persisted: true });
    await clock.advance(0);
    expect(server.connections).toHaveLength(2);
    server.last.welcome();
    expect(anita.state).toBe('online');
  });

  test('a page that is only left keeps its socket to the end', () => {
    network.say('pagehide', { persisted: false });
    expect(server.last.closedWith).toBeUndefined();
    expect(anita.state).toBe('online');
  });

  test('a client that was closed stays closed', async () => {
    network.say('pagehide', { persisted: true });
    anita.close();
    network.say('pageshow', { persisted: true });
    await clock.advance(1_000);
    expect(server.connections).toHaveLength(1);
  });
});

describe('a hidden page', () => {
  class FakeDocument extends EventTarget {
    hidden = false;
    turn(hidden: boolean): void {
      this.hidden = hidden;
      this.dispatchEvent(new Event('visibilitychange'));
    }
  }
  let page: FakeDocument;
  beforeEach(() => vi.stubGlobal('document', (page = new FakeDocument())));

  const open = async (options: Parameters<typeof subscribe>[1]) => {
    const view = subscribe(anita, options);
    server.last.answer('subscribe', 'subscribed', { subscription: 's1', epoch: 'e', seq: 1 });
    await clock.advance(0);
    return view;
  };
  const rates = () => server.last.heard('update_subscription').map(({ payload }) => payload['max_rate_hz']);
  const turn = async (hidden: boolean) => {
    page.turn(hidden);
    await clock.advance(0);
  };

  test.each<[what: string, options: Parameters<typeof subscribe>[1], rates: unknown[]]>([
    ['asks for one position a second, and then for all again', {}, [1, null]],
    ['goes back to the rate that it had', { maxRateHz: 5 }, [1, 5]],
    ['keeps a rate that is lower still', { maxRateHz: 0.2 }, []],
    ['asks for nothing, if that is wanted', { maxRateHz: 5, hiddenRateHz: 0 }, [0, 5]],
    ['goes on as before, if that is wanted', { hiddenRateHz: null }, []],
    ['loses nothing in the lane `every`', { lane: 'every' }, []],
  ])('%s', async (_, options, expected) => {
    await open(options);
    await turn(true);
    await turn(true);
    await turn(false);
    expect(rates()).toEqual(expected);
  });

  test('a view that is paused stays paused', async () => {
    const view = await open({});
    void view.pause();
    await turn(true);
    await turn(false);
    expect(rates()).toEqual([0]);
    void view.resume();
    await clock.advance(0);
    expect(rates()).toEqual([0, null]);
  });

  test('what is asked for while hidden begins with the low rate', async () => {
    page.hidden = true;
    await open({ maxRateHz: 10 });
    expect(server.last.heard('subscribe')[0]!.payload).toEqual({ max_rate_hz: 1 });
    await turn(false);
    expect(rates()).toEqual([10]);
  });

  test('a view that is closed listens no more', async () => {
    const view = await open({});
    void view.close();
    await clock.advance(0);
    await turn(true);
    expect(rates()).toEqual([]);
  });
});

describe('views that are shared', () => {
  test('are asked for once, and end with the last', async () => {
    const [one, two] = [
      subscribe(anita, { mode: 'single', isShared: true }),
      subscribe(anita, { mode: 'single', isShared: true }),
    ];
    expect(two).toBe(one);
    expect(subscribe(anita, { mode: 'batch', isShared: true })).not.toBe(one);
    expect(server.last.heard('subscribe')).toHaveLength(2);
    server.last.answer(server.last.heard('subscribe')[0]!, 'subscribed', { subscription: 's1', epoch: 'e', seq: 1 });
    await clock.advance(0);
    await one.close();
    expect(server.last.heard('unsubscribe')).toEqual([]);
    void two.close();
    await clock.advance(0);
    expect(server.last.heard('unsubscribe')).toHaveLength(1);
    expect(subscribe(anita, { mode: 'single', isShared: true })).not.toBe(one);
  });
});

describe('what waits in the socket', () => {
  test('above the limit nothing more is taken, until it is drained', async () => {
    server.last.bufferedAmount = 1_001;
    expect(anita.bufferedAmount).toBe(1_001);
    expect(anita.send('ping', {})).toBe(false);
    expect(anita.sendText('{}')).toBe(false);
    await expect(anita.request('ping', {})).rejects.toMatchObject({ code: 'queue_full', retryable: true });
    expect(server.last.said).toEqual([]);
    let isDrained = false;
    void anita.drained().then(() => (isDrained = true));
    server.last.bufferedAmount = 900;
    expect(anita.send('ping', {})).toBe(true);
    await clock.advance(100);
    expect(isDrained, 'half of it has to be gone').toBe(false);
    server.last.bufferedAmount = 500;
    await clock.advance(100);
    expect(isDrained).toBe(true);
  });

  test('drained waits for the connection, and ends with the client', async () => {
    server.last.drop();
    const drained = anita.drained();
    anita.retryNow();
    await clock.advance(0);
    server.last.welcome();
    await drained;
    server.last.bufferedAmount = 2_000;
    const never = anita.drained().catch((error: unknown) => (error as AnitaError).code);
    anita.close();
    await clock.advance(100);
    expect(await never).toBe('closed');
  });
});

describe('debug', () => {
  test('shows what goes in and out, without tokens', async () => {
    const shown: string[] = [];
    const off = debug(anita, (what, text) => shown.push(`${what} ${text}`));
    anita.sendText('{"type":"authenticate","payload":{"token":"secret"}}');
    server.last.tell('acme.echo', { token: 'secret' });
    server.last.drop();
    off();
    anita.retryNow();
    await clock.advance(0);
    expect(shown).toEqual([
      'out {"type":"authenticate","payload":{"token":"…"}}',
      'in {"type":"acme.echo","payload":{"token":"…"}}',
      'state online → waiting',
      'error connection connection_lost: connection lost',
    ]);
  });
});
