import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AnitaClient, rooms, type Device } from '../src/index.js';
import { DeviceStore } from '../src/store.js';
import { FakeServer, type FakeConnection } from '../src/testing.js';

const place = (x: number) => ({ x, y: 0, z: 0 });
const at = (second: number) => `2026-01-01T00:00:0${second}.000000Z`;
const device = (id: string, more: Partial<Device> = {}): Device => ({
  id,
  kind: 'tag',
  status: 'connected',
  last_seen: null,
  location: null,
  ...more,
});
const fix = (device_id: string, x: number, second: number, more: object = {}) => ({
  device_id,
  location: place(x),
  timestamp: at(second),
  received_at: at(second),
  ...more,
});
const turn = () => new Promise((resolve) => setTimeout(resolve));

let anita: AnitaClient;
let server: FakeServer;

async function connect(): Promise<FakeConnection> {
  await turn();
  server.last.welcome();
  await turn();
  return server.last;
}

function list(socket: FakeConnection, devices: Device[], next?: string): void {
  const { id } = socket.heard('get_active_devices').at(-1)!;
  socket.tell('uwb.device_list', { devices, total: devices.length, ...(next !== undefined && { next }) }, { id });
}

beforeEach(() => {
  server = new FakeServer();
  anita = new AnitaClient('wss://plant.test/ws/uwb', { WebSocket: server.WebSocket, random: () => 0 });
  void anita.connect();
});
afterEach(() => anita.close());

describe('the map of devices', () => {
  test('is not asked for before its first use', async () => {
    const socket = await connect();
    expect(socket.heard('get_active_devices')).toEqual([]);
    expect(new DeviceStore(anita).size).toBe(0);
    expect(socket.heard('get_active_devices')).toHaveLength(1);
  });

  test('is filled from all pages', async () => {
    const devices = new DeviceStore(anita);
    const socket = await connect();
    list(socket, [device('a'), device('b')], 'b');
    await turn();
    expect(socket.heard('get_active_devices').map(({ payload }) => payload)).toEqual([{}, { after: 'b' }]);
    list(socket, [device('c')]);
    await turn();
    expect([...devices.keys()]).toEqual(['a', 'b', 'c']);
    expect(socket.heard('get_active_devices')).toHaveLength(2);
  });

  test('follows locations, status, registrations, changes and removals', async () => {
    const devices = new DeviceStore(anita);
    const socket = await connect();
    list(socket, [device('a', { name: 'Forklift', battery: 80, floor: 2, accuracy: 0.5 })]);
    const before = devices.get('a');
    socket.tell('uwb.location', fix('a', 1, 1, { accuracy: 0.1 }));
    expect(devices.get('a')).toEqual(
      device('a', {
        name: 'Forklift',
        battery: 80,
        accuracy: 0.1,
        location: place(1),
        timestamp: at(1),
        received_at: at(1),
        last_seen: at(1),
      }),
    );
    expect(devices.get('a')).not.toBe(before);
    socket.tell('uwb.position_update', { positions: { a: place(2), new: place(3) }, timestamp: at(2) });
    expect(devices.get('a')).toMatchObject({ location: place(2), name: 'Forklift', timestamp: at(1) });
    expect(devices.get('new')).toMatchObject({ id: 'new', kind: 'tag', location: place(3) });
    socket.tell('uwb.position_update', {
      positions: { a: place(7), ghost: place(7) },
      timestamp: at(0),
      playback: 'p1',
    });
    expect(devices.has('ghost')).toBe(false); // What is played back is not live.
    socket.tell('device.status', { device_id: 'a', status: 'stale', battery: 79 });
    expect(devices.get('a')).toMatchObject({ status: 'stale', battery: 79, location: place(2) });
    socket.tell('device.updated', { device: device('a', { name: 'Crane' }) });
    expect(devices.get('a')).toEqual(device('a', { name: 'Crane' }));
    socket.tell('uwb.device_registered', { device_id: 'r', initial_location: place(9) });
    expect(devices.get('r')).toMatchObject({ location: place(9) });
    socket.tell('device.status', { device_id: 's', status: 'connected', battery: 79 });
    socket.tell('uwb.device_registered', { device_id: 's', initial_location: place(8) });
    expect(devices.get('s')).toMatchObject({ location: place(8), battery: 79 });
    socket.tell('device.removed', { device_id: 'a' });
    expect([...devices.keys()]).toEqual(['new', 'r', 's']);
  });

  test('an older location does not replace a newer one, from wherever it comes', async () => {
    const devices = new DeviceStore(anita);
    const socket = await connect();
    socket.tell('uwb.location', fix('a', 5, 5));
    list(socket, [device('a', { name: 'named', location: place(4), timestamp: at(4), received_at: at(4) })]);
    expect(devices.get('a')).toMatchObject({ name: 'named', location: place(5), timestamp: at(5) });
    socket.tell('uwb.location', fix('a', 3, 3));
    expect(devices.get('a')).toMatchObject({ location: place(5) });
  });

  test('is read anew after a reconnect and after a gap; what is gone goes, what came meanwhile stays', async () => {
    const devices = new DeviceStore(anita);
    let socket = await connect();
    list(socket, [device('a'), device('b')]);
    await turn();
    socket.fire('close', { code: 1006 });
    await turn();
    expect([...devices.keys()]).toEqual(['a', 'b']);
    socket = await connect();
    socket.tell('uwb.location', fix('c', 1, 1));
    list(socket, [device('b')]);
    await turn();
    expect([...devices.keys()]).toEqual(['b', 'c']);
    socket.tell('room.gap', { room: 'uwb', epoch: 'e', from_seq: 1, to_seq: 2 });
    expect(socket.heard('get_active_devices')).toHaveLength(2);
  });

  test('a list that was overtaken by a newer one is not read to its end', async () => {
    void new DeviceStore(anita).size;
    const socket = await connect();
    const [first] = socket.heard('get_active_devices');
    socket.tell('room.gap', { room: 'uwb', epoch: 'e', from_seq: 1, to_seq: 2 });
    socket.tell('uwb.device_list', { devices: [device('a')], total: 1, next: 'a' }, { id: first!.id });
    await turn();
    expect(socket.heard('get_active_devices').map(({ payload }) => payload)).toEqual([{}, {}]);
  });

  test('asks for nothing that the endpoint does by itself', async () => {
    const devices = new DeviceStore(anita);
    const socket = await connect();
    list(socket, [device('a')]);
    await turn();
    devices.close();
    expect(socket.said.map(({ type }) => type)).toEqual(['get_active_devices']);
  });

  test('tells what changed once a turn', async () => {
    const changes: string[][] = [];
    new DeviceStore(anita).on('change', (ids) => changes.push([...ids]));
    const socket = await connect();
    list(socket, [device('a'), device('b')]);
    socket.tell('uwb.location', fix('a', 1, 1));
    await turn();
    socket.tell('uwb.location', fix('b', 1, 2));
    await turn();
    expect(changes).toEqual([['a', 'b'], ['b']]);
  });

  test('a refused list is not asked for again; a busy server is', async () => {
    expect(new DeviceStore(anita).size).toBe(0);
    const socket = await connect();
    const [first] = socket.heard('get_active_devices');
    const busy = { code: 'unavailable', message: 'later', retryable: true, retry_after_ms: 5 };
    socket.tell('error', busy, { id: first!.id });
    await vi.waitFor(() => expect(socket.heard('get_active_devices')).toHaveLength(2), { timeout: 20_000 });
    const [, second] = socket.heard('get_active_devices');
    socket.tell('error', { code: 'forbidden', message: 'no', retryable: false }, { id: second!.id });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(socket.heard('get_active_devices')).toHaveLength(2);
  });
});

describe('on an endpoint that joins nothing', () => {
  const joined = (socket: FakeConnection, more: object = {}): void => {
    socket.answer('join_room', 'room.joined', { room: 'uwb', epoch: 'e', seq: 1, ...more });
  };
  const talk = (socket: FakeConnection) =>
    socket.said.filter(({ type }) => type !== 'ping').map(({ type, payload }) => [type, payload]);

  beforeEach(async () => {
    anita.close();
    await turn();
    anita = new AnitaClient('wss://plant.test/ws', { WebSocket: server.WebSocket, network: null, random: () => 0 });
    void anita.connect();
  });

  /** The next connection, once the one before is lost. */
  async function again(): Promise<FakeConnection> {
    server.last.drop();
    anita.retryNow();
    return connect();
  }

  test('the map joins the room that tells what moves, before it reads the list, and leaves it when it is closed', async () => {
    const devices = new DeviceStore(anita);
    const socket = await connect();
    expect(talk(socket)).toEqual([
      ['join_room', { room: 'uwb' }],
      ['get_active_devices', {}],
    ]);
    joined(socket);
    list(socket, [device('a')]);
    await turn();
    socket.tell('uwb.location', fix('a', 1, 1));
    expect(devices.get('a')).toMatchObject({ location: place(1) });
    devices.close();
    devices.close();
    expect(talk(socket).slice(2)).toEqual([['leave_room', { room: 'uwb' }]]);
  });

  test('it is one of those who joined: two maps and an application need three leaves', async () => {
    const maps = [new DeviceStore(anita), new DeviceStore(anita)];
    const socket = await connect();
    joined(socket);
    await turn();
    await rooms(anita).join('uwb');
    // However often the list is read, a map has joined once.
    for (const seq of [5, 9]) socket.tell('room.gap', { room: 'uwb', epoch: 'e', from_seq: seq, to_seq: seq });
    await turn();
    for (const map of maps) map.close();
    expect(socket.heard('leave_room')).toEqual([]);
    rooms(anita)
      .leave('uwb')
      .catch(() => undefined);
    expect(socket.heard('leave_room')).toHaveLength(1);
    expect(socket.heard('join_room')).toHaveLength(1);
  });

  test('after a reconnect it is in the room again, from where it was', async () => {
    const devices = new DeviceStore(anita);
    joined(await connect());
    await turn();
    const socket = await again();
    expect(talk(socket)).toEqual([
      ['join_room', { room: 'uwb', since: { epoch: 'e', seq: 1 } }],
      ['get_active_devices', {}],
    ]);
    joined(socket, { recovered: true });
    list(socket, []);
    await turn();
    devices.close();
    expect(socket.heard('leave_room')).toHaveLength(1);
  });

  test('a join that the connection took with it is made on the next one', async () => {
    const devices = new DeviceStore(anita);
    await connect();
    const socket = await again();
    expect(socket.heard('join_room')).toHaveLength(1);
    joined(socket);
    await turn();
    devices.close();
    expect(socket.heard('leave_room')).toHaveLength(1);
  });

  test('who is closed before the answer leaves after it', async () => {
    const devices = new DeviceStore(anita);
    const socket = await connect();
    devices.close();
    joined(socket);
    await turn();
    expect(socket.heard('leave_room')).toHaveLength(1);
  });

  test('a server that is busy is asked again, also on the way back', async () => {
    const devices = new DeviceStore(anita);
    const busy = { retryable: true, retry_after_ms: 5 };
    let socket = await connect();
    for (let round = 1; round <= 2; round++) {
      list(socket, []);
      socket.refuse('join_room', 'unavailable', busy);
      await vi.waitFor(() => expect(socket.heard('join_room')).toHaveLength(2), { timeout: 20_000 });
      joined(socket, { recovered: true });
      await turn();
      if (round === 1) socket = await again();
    }
    devices.close();
    expect(socket.heard('leave_room')).toHaveLength(1);
  });

  test('who may not be in the room has the list all the same, and asks once a connection', async () => {
    const devices = new DeviceStore(anita);
    let socket = await connect();
    for (let round = 1; round <= 2; round++) {
      socket.refuse('join_room', 'forbidden');
      list(socket, [device('a')]);
      await turn();
      expect([...devices.keys()]).toEqual(['a']);
      expect(socket.heard('join_room')).toHaveLength(1);
      if (round === 1) socket = await again();
    }
    devices.close();
    expect(socket.heard('leave_room')).toEqual([]);
  });

  test('who may not come back, and may again later, leaves it once', async () => {
    const devices = new DeviceStore(anita);
    joined(await connect());
    await turn();
    (await again()).refuse('join_room', 'forbidden');
    await turn();
    const socket = await again();
    joined(socket);
    await turn();
    expect(socket.heard('leave_room')).toEqual([]);
    devices.close();
    expect(socket.heard('leave_room')).toHaveLength(1);
  });

  test('who was taken out of the room, and is in it again later, leaves it once', async () => {
    const devices = new DeviceStore(anita);
    let socket = await connect();
    joined(socket);
    await turn();
    socket.tell('room.left', { room: 'uwb' });
    socket = await again();
    expect(talk(socket)[0]).toEqual(['join_room', { room: 'uwb' }]);
    joined(socket);
    await turn();
    expect(socket.heard('leave_room')).toEqual([]);
    devices.close();
    expect(socket.heard('leave_room')).toHaveLength(1);
  });
});
