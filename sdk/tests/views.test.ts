import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  AnitaClient,
  subscribe,
  type Device,
  type Position,
  type SubscribeOptions,
  type Subscription,
} from '../src/index.js';
import { FakeServer, type FakeConnection } from '../src/testing.js';

const turn = () => new Promise((resolve) => setTimeout(resolve));
const device = (id: string, x: number): Device => ({
  id,
  kind: 'tag',
  status: 'connected',
  last_seen: null,
  location: { x, y: 0, z: 0 },
});
const timestamp = '2026-01-01T00:00:01.500000Z';
const area = { box: { min_x: 0, min_y: 0, max_x: 9, max_y: 9 } };

let anita: AnitaClient;
let server: FakeServer;

async function connect(): Promise<FakeConnection> {
  await turn();
  server.last.welcome();
  await turn();
  return server.last;
}

function answer(socket: FakeConnection, request: string, type: string, payload: object): void {
  const { id } = socket.heard(request).at(-1)!;
  socket.tell(type, payload, { id });
}

const subscribed = (socket: FakeConnection, more: object = {}): void => {
  answer(socket, 'subscribe', 'subscribed', { subscription: 's1', epoch: 'e', seq: 7, ...more });
};

const snapshot = (socket: FakeConnection, devices: Device[], more: object = {}): void => {
  socket.tell('view.snapshot', { subscription: 's1', devices, page: 1, complete: true, ...more });
};

/** A subscription that was answered, and what it tells. */
async function open(options: SubscribeOptions = {}): Promise<[Subscription, FakeConnection, [string, unknown][]]> {
  const socket = await connect();
  const subscription = subscribe(anita, options);
  const told: [string, unknown][] = [];
  for (const type of ['snapshot', 'entered', 'left', 'position', 'gap'] as const) {
    subscription.on(type, (it: unknown) => told.push([type, it instanceof Map ? [...it.keys()] : it]));
  }
  subscribed(socket);
  return [subscription, socket, told];
}

beforeEach(() => {
  server = new FakeServer();
  anita = new AnitaClient('wss://plant.test/ws', { WebSocket: server.WebSocket, random: () => 0 });
  void anita.connect();
});
afterEach(() => anita.close());

describe('a subscription', () => {
  test('is asked for in the words of the wire, and has the name that the server gives it', async () => {
    const [subscription, socket] = await open({ view: { area }, maxRateHz: 5, minMoveM: 0.1, mode: 'columns' });
    expect(subscription.id).toBe('s1');
    expect(socket.heard('subscribe')[0]!.payload).toEqual({
      view: { area },
      max_rate_hz: 5,
      min_move_m: 0.1,
      mode: 'columns',
    });
  });

  test('keeps its devices: a snapshot of several pages, who enters, moves and leaves', async () => {
    const [{ devices }, socket, told] = await open();
    snapshot(socket, [device('a', 1)], { complete: false });
    socket.tell('view.entered', { subscription: 's1', devices: [device('c', 3)] });
    snapshot(socket, [device('b', 2)], { page: 2 });
    const positions = { a: { x: 1.5, y: 2, z: 3, floor: 1 } };
    socket.tell('uwb.position_update', { positions, timestamp }, { subscription: 's1' });
    expect(devices.get('a')).toMatchObject({ location: { x: 1.5, y: 2, z: 3 }, floor: 1 });
    socket.tell('view.left', { subscription: 's1', device_ids: ['b'] });
    expect([...devices.keys()]).toEqual(['a', 'c']);
    expect(told.map(([type]) => type)).toEqual(['entered', 'snapshot', 'position', 'left']);
    expect(told[2]![1]).toEqual([{ id: 'a', x: 1.5, y: 2, z: 3, floor: 1 }]);
    snapshot(socket, [device('d', 4)]);
    expect([...devices.keys()]).toEqual(['d']);
  });

  test('hears only what is its own', async () => {
    const [, socket, told] = await open();
    const second = subscribe(anita);
    subscribed(socket, { subscription: 's2' });
    const fix = { device_id: 'a', location: { x: 1, y: 0, z: 0 }, timestamp, received_at: timestamp };
    socket.tell('uwb.location', fix);
    socket.tell('uwb.location', fix, { subscription: 's2' });
    expect(second.id).toBe('s2');
    expect(told).toEqual([]);
    socket.tell('uwb.location', fix, { subscription: 's1' });
    expect(told).toEqual([['position', [{ id: 'a', x: 1, y: 0, z: 0, timestamp }]]]);
  });

  test('reads columns by their numbers', async () => {
    const [{ devices }, socket, told] = await open({ mode: 'columns', fields: 'all' });
    snapshot(socket, [device('a', 1), device('b', 2)], { refs: [4, 9] });
    const columns = { unit: 'mm', timestamp, refs: [9, 4], x: [1234, -5], y: [0, 10], z: [0, 0] };
    socket.tell('uwb.position_columns', columns, { subscription: 's1' });
    expect(told.at(-1)).toEqual([
      'position',
      [
        { id: 'b', x: 1.234, y: 0, z: 0 },
        { id: 'a', x: -0.005, y: 0.01, z: 0 },
      ],
    ]);
    expect(devices.get('b')!.location).toEqual({ x: 1.234, y: 0, z: 0 });
    socket.tell('view.entered', { subscription: 's1', devices: [device('c', 3)], refs: [5] });
    const all = { taken_ms_ago: [500], accuracy: [12], floor: [null], battery: [80] };
    const more = { unit: 'cm', timestamp, refs: [5], x: [1], y: [2], z: [3], ...all };
    socket.tell('uwb.position_columns', more, { subscription: 's1' });
    const [position] = told.at(-1)![1] as Position[];
    expect(position).toEqual({
      id: 'c',
      x: 0.01,
      y: 0.02,
      z: 0.03,
      accuracy: 0.12,
      battery: 80,
      timestamp: '2026-01-01T00:00:01.000Z',
    });
  });

  test('is changed where it is, paused and gone on with', async () => {
    const [subscription, socket] = await open({ maxRateHz: 5 });
    const heard = () => socket.heard('update_subscription').map(({ payload }) => payload);
    const updated = { subscription: 's1', epoch: 'e', seq: 8 };
    const changed = subscription.update({ view: { area } });
    await turn();
    answer(socket, 'update_subscription', 'subscription.updated', updated);
    await changed;
    void subscription.pause();
    void subscription.update({ maxRateHz: 2, fields: 'all' });
    void subscription.resume();
    await turn();
    expect(heard()).toEqual([
      { subscription: 's1', view: { area } },
      { subscription: 's1', max_rate_hz: 0 },
      { subscription: 's1', fields: 'all' },
      { subscription: 's1', max_rate_hz: 2 },
    ]);
  });

  test('that is closed says so, and hears nothing any more', async () => {
    const [subscription, socket, told] = await open();
    void subscription.close();
    await turn();
    expect(socket.heard('unsubscribe')[0]!.payload).toEqual({ subscription: 's1' });
    snapshot(socket, [device('a', 1)]);
    expect(told).toEqual([]);
    expect(subscription.id).toBeUndefined();
  });

  test('may be closed or changed before it is answered', async () => {
    const socket = await connect();
    const first = subscribe(anita);
    void first.update({ fields: 'all' });
    void first.close();
    await turn();
    expect(socket.heard('update_subscription')).toEqual([]);
    subscribed(socket);
    await turn();
    expect(socket.heard('update_subscription')[0]!.payload).toEqual({ subscription: 's1', fields: 'all' });
    expect(socket.heard('unsubscribe')).toHaveLength(1);
  });

  test('comes back after a reconnect as it was changed, paused if it was, and with a snapshot', async () => {
    const [subscription, socket] = await open({ maxRateHz: 5, snapshot: false });
    void subscription.update({ view: { area } });
    void subscription.pause();
    socket.fire('close', { code: 1006 });
    expect(subscription.id).toBeUndefined();
    anita.retryNow();
    const second = await connect();
    expect(second.heard('subscribe').map(({ payload }) => payload)).toEqual([{ view: { area }, max_rate_hz: 0 }]);
    subscribed(second, { subscription: 's3' });
    expect(subscription.id).toBe('s3');
  });

  test('is not asked for again when it was refused for good', async () => {
    const socket = await connect();
    subscribe(anita);
    const { id } = socket.heard('subscribe')[0]!;
    socket.tell('error', { code: 'forbidden', message: 'no', retryable: false }, { id });
    await turn();
    socket.fire('close', { code: 1006 });
    anita.retryNow();
    expect((await connect()).heard('subscribe')).toEqual([]);
  });

  test('that was asked for while there was no connection waits for it', async () => {
    subscribe(anita, { mode: 'single' });
    const socket = await connect();
    expect(socket.heard('subscribe').map(({ payload }) => payload)).toEqual([{ mode: 'single' }]);
  });
});

describe('the lane `every`', () => {
  const fix = (socket: FakeConnection, seq: number): void => {
    const payload = { device_id: 'a', location: { x: 1, y: 0, z: 0 }, timestamp, received_at: timestamp };
    socket.tell('uwb.location', payload, { subscription: 's1', epoch: 'e', seq });
  };

  const again = async (): Promise<[FakeConnection, unknown]> => {
    server.last.fire('close', { code: 1006 });
    anita.retryNow();
    const socket = await connect();
    return [socket, socket.heard('subscribe').at(-1)!.payload['since']];
  };

  test('goes on after a reconnect where it was', async () => {
    const [, first, told] = await open({ lane: 'every' });
    fix(first, 9);
    const [socket, since] = await again();
    expect(since).toEqual({ epoch: 'e', seq: 9 });
    subscribed(socket, { seq: 12, recovered: true });
    fix(socket, 10);
    expect((await again())[1]).toEqual({ epoch: 'e', seq: 10 });
    expect(told.filter(([type]) => type === 'gap')).toEqual([]);
  });

  test('says what is lost', async () => {
    const [, , told] = await open({ lane: 'every' });
    expect((await again())[1]).toEqual({ epoch: 'e', seq: 7 });
    const socket = server.last;
    subscribed(socket, { seq: 99, recovered: false });
    socket.tell('view.gap', { subscription: 's1', epoch: 'e', from_seq: 8, to_seq: 90 });
    expect(told).toEqual([['gap', { epoch: 'e', fromSeq: 8, toSeq: 90 }]]);
    const [other, since] = await again();
    expect(since).toEqual({ epoch: 'e', seq: 90 });
    subscribed(other, { epoch: 'f', seq: 3, recovered: false });
    expect(told.at(-1)).toEqual(['gap', { epoch: 'f' }]);
    expect((await again())[1]).toEqual({ epoch: 'f', seq: 3 });
  });
});

test('how the connection is served can be asked for, and that it is too slow is an event', async () => {
  const socket = await connect();
  const paces: unknown[] = [];
  anita.on('system.pace', (pace) => paces.push(pace));
  socket.tell('system.pace', { dropped: 3, age_ms: 120 });
  expect(paces).toEqual([{ dropped: 3, age_ms: 120 }]);
  const asked = anita.request('get_connection_stats', {});
  const stats = {
    client_id: 'c1',
    since: timestamp,
    received: 1,
    sent: 2,
    positions_delivered: 3,
    positions_dropped: 4,
    queued_bytes: 0,
    subscriptions: [],
    age_ms: { p50: 5, p99: 9, max: 9 },
  };
  answer(socket, 'get_connection_stats', 'system.connection_stats', stats);
  expect((await asked).age_ms).toEqual({ p50: 5, p99: 9, max: 9 });
});
