import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AnitaClient, stream, type AnitaError, type StreamOptions } from '../src/index.js';
import { FakeServer } from '../src/testing.js';

let server: FakeServer;
let anita: AnitaClient;
const turn = () => new Promise((resolve) => setTimeout(resolve));

const fix = (device_id: string, x: number): void => {
  server.last.tell('uwb.location', { device_id, location: { x, y: 0, z: 0 }, timestamp: 't', received_at: 't' });
};

/** A stream that has begun, and takes nothing until it is asked. */
async function begin(options: StreamOptions<'uwb.location'> = {}) {
  const messages = stream(anita, 'uwb.location', options);
  const first = messages.next();
  fix('first', 0);
  await first;
  return messages;
}

/** What waits in it, and then the end. */
async function rest(messages: ReturnType<typeof stream<'uwb.location'>>, stop: () => void): Promise<string[]> {
  const all: string[] = [];
  stop();
  for await (const { device_id, location } of messages) all.push(`${device_id}${location.x}`);
  return all;
}

beforeEach(async () => {
  server = new FakeServer()
    .welcomes()
    .answers('join_room', 'room.joined', ({ room }) => ({ room, epoch: 'e', seq: 1 }));
  server.answers('leave_room', 'room.left', ({ room }) => ({ room }));
  anita = new AnitaClient('wss://plant.test/ws', { WebSocket: server.WebSocket, network: null, random: () => 0 });
  await anita.connect();
});
afterEach(() => anita.close());

describe('a stream', () => {
  test('`latest` keeps the newest of each device, and drops nobody', async () => {
    const messages = await begin({ policy: 'latest' });
    for (let x = 1; x <= 50; x++) for (const id of ['a', 'b']) fix(id, x);
    const got = [(await messages.next()).value, (await messages.next()).value];
    expect(got).toMatchObject([
      { device_id: 'a', location: { x: 50 } },
      { device_id: 'b', location: { x: 50 } },
    ]);
    fix('a', 51);
    expect((await messages.next()).value).toMatchObject({ location: { x: 51 } });
    await messages.return();
  });

  test('`drop-oldest` keeps the newest, `unbounded` all', async () => {
    const some = await begin({ limit: 3 });
    const all = await begin({ policy: 'unbounded', limit: 3 });
    for (let x = 1; x <= 5; x++) fix('a', x);
    const take = async (messages: typeof some, count: number) => {
      const taken: number[] = [];
      for (let n = 0; n < count; n++) taken.push((await messages.next()).value!.location.x);
      return taken;
    };
    expect(await take(some, 3)).toEqual([3, 4, 5]);
    // What came for the other stream to begin with was heard, too.
    expect(await take(all, 5)).toEqual([1, 2, 3, 4, 5]);
    await some.return();
    await all.return();
  });

  test('a filter chooses', async () => {
    const messages = stream(anita, 'uwb.location', { filter: ({ device_id }) => device_id === 'b' });
    const first = messages.next();
    fix('a', 1);
    fix('b', 2);
    expect((await first).value).toMatchObject({ device_id: 'b' });
    await messages.return();
  });

  test('a loop is in its room as long as it runs', async () => {
    const heard = (type: string) => server.last.heard(type).map(({ payload }) => payload);
    const one = await begin({ room: 'hall' });
    const two = await begin({ room: 'hall' });
    expect(heard('join_room')).toEqual([{ room: 'hall' }]);
    await one.return();
    expect(heard('leave_room')).toEqual([]);
    fix('a', 1);
    for await (const { device_id } of two) if (device_id === 'a') break;
    expect(heard('leave_room')).toEqual([{ room: 'hall' }]);
  });

  test('a loop that ends leaves a client of /ws/uwb where the endpoint has put it', async () => {
    const uwb = new AnitaClient('wss://plant.test/ws/uwb', { WebSocket: server.WebSocket, network: null });
    await uwb.connect();
    const messages = stream(uwb, 'uwb.location', { room: 'uwb' });
    const first = messages.next();
    await turn();
    fix('a', 1);
    await first;
    await messages.return();
    await turn();
    expect(server.last.heard('leave_room')).toEqual([]);
    uwb.close();
  });

  test('a room that is refused ends the loop with the reason', async () => {
    anita.close();
    server = new FakeServer().welcomes();
    anita = new AnitaClient('wss://plant.test/ws', { WebSocket: server.WebSocket, network: null });
    await anita.connect();
    const first = stream(anita, 'uwb.location', { room: 'secret' }).next();
    server.last.refuse('join_room', 'forbidden');
    await expect(first).rejects.toMatchObject({ code: 'forbidden' });
    expect(server.last.heard('leave_room')).toEqual([]);
  });

  test('it goes on through a reconnect', async () => {
    const messages = await begin();
    const next = messages.next();
    server.last.drop();
    anita.retryNow();
    await anita.connect();
    expect(server.connections).toHaveLength(2);
    fix('a', 9);
    expect((await next).value).toMatchObject({ location: { x: 9 } });
    await messages.return();
  });

  test('it ends with its signal, with the client, and with a failure for good', async () => {
    const ended = new AbortController();
    const one = await begin({ signal: ended.signal });
    expect(await rest(one, () => ended.abort())).toEqual([]);

    const two = await begin();
    const waiting = two.next().catch((error: unknown) => error as AnitaError);
    server.last.drop(4509, { code: 'logged_out' });
    expect(await waiting).toMatchObject({ kind: 'auth', code: 'logged_out' });

    await anita.connect();
    const three = await begin();
    expect(await rest(three, () => anita.close())).toEqual([]);
  });

  test('leaving it leaves no listener', async () => {
    const filter = vi.fn(() => true);
    const messages = await begin({ filter });
    await messages.return();
    await turn();
    fix('a', 1);
    expect(filter).toHaveBeenCalledOnce();
    expect((await messages.next()).done).toBe(true);
  });
});
