import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AnitaClient, rooms, type AnitaError, type Gap, type Resync } from '../src/index.js';
import { FakeServer, ManualClock, type FakeConnection } from '../src/testing.js';

let clock: ManualClock;
let server: FakeServer;
let anita: AnitaClient;
let gaps: Gap[];
let resyncs: Resync[];

/** A client that is online at this endpoint. */
async function open(path: string): Promise<AnitaClient> {
  const client = new AnitaClient(`wss://plant.test${path}`, {
    WebSocket: server.WebSocket,
    network: null,
    random: () => 0,
  });
  rooms(client).on('gap', (gap) => gaps.push(gap));
  rooms(client).on('resync', (resync) => resyncs.push(resync));
  void client.connect();
  await clock.advance(0);
  server.last.welcome();
  return client;
}

const joined = (room: string, more: object = {}) => ({ room, epoch: 'e', seq: 5, ...more });
const asked = (type: string, connection = server.last) => connection.heard(type).map(({ payload }) => payload);
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as AnitaError,
  );

/** The answers to all joins that were not answered yet, in their order. */
function answerJoins(connection: FakeConnection, more: Record<string, object> = {}): void {
  for (const said of connection.heard('join_room').splice(0)) {
    const room = said.payload['room'] as string;
    connection.answer(said, 'room.joined', joined(room, more[room]));
  }
}

async function again(): Promise<FakeConnection> {
  server.last.drop(1012);
  anita.retryNow();
  await clock.advance(0);
  server.last.welcome();
  return server.last;
}

beforeEach(async () => {
  clock = new ManualClock().install();
  server = new FakeServer();
  gaps = [];
  resyncs = [];
  anita = await open('/ws');
});
afterEach(() => {
  anita.close();
  expect(clock.timers).toBe(0);
  clock.uninstall();
});

describe('the uses of a room', () => {
  test('two joins ask once, and need two leaves', async () => {
    const both = [rooms(anita).join('hall'), rooms(anita).join('hall')];
    expect(asked('join_room')).toEqual([{ room: 'hall' }]);
    answerJoins(server.last);
    expect(await Promise.all(both)).toEqual([joined('hall'), joined('hall')]);
    expect(await rooms(anita).join('hall')).toEqual(joined('hall'));
    expect(asked('join_room')).toHaveLength(1);

    expect(await rooms(anita).leave('hall')).toEqual({ room: 'hall' });
    await rooms(anita).leave('hall');
    expect(asked('leave_room')).toEqual([]);
    void rooms(anita).leave('hall');
    expect(asked('leave_room')).toEqual([{ room: 'hall' }]);
    server.last.answer('leave_room', 'room.left', { room: 'hall' });
    await again();
    expect(asked('join_room')).toEqual([]);
  });

  test('a join that is refused needs no leave', async () => {
    const refused = failure(rooms(anita).join('hall'));
    server.last.refuse('join_room', 'forbidden');
    expect(await refused).toMatchObject({ code: 'forbidden' });
    const taken = rooms(anita).join('hall');
    expect(asked('join_room')).toHaveLength(2);
    server.last.answer('join_room', 'room.joined', joined('hall'));
    await taken;
    const left = rooms(anita).leave('hall');
    expect(asked('leave_room')).toHaveLength(1);
    server.last.answer('leave_room', 'room.left', { room: 'hall' });
    await left;
  });

  test('a join that the connection took with it is given up, and not joined behind the back of the caller', async () => {
    const lost = failure(rooms(anita).join('hall'));
    server.last.drop();
    expect(await lost).toMatchObject({ code: 'disconnected', retryable: true });
    anita.retryNow();
    await clock.advance(0);
    server.last.welcome();
    expect(asked('join_room')).toEqual([]);
  });

  test('a join that waits for the connection is asked once', async () => {
    server.last.drop();
    const waiting = rooms(anita).join('hall');
    anita.retryNow();
    await clock.advance(0);
    server.last.welcome();
    expect(asked('join_room')).toEqual([{ room: 'hall' }]);
    answerJoins(server.last);
    expect(await waiting).toEqual(joined('hall'));
  });

  test('without a connection there is nothing to leave', async () => {
    const join = rooms(anita).join('hall');
    answerJoins(server.last);
    await join;
    server.last.drop();
    expect(await rooms(anita).leave('hall')).toEqual({ room: 'hall' });
    anita.retryNow();
    await clock.advance(0);
    server.last.welcome();
    expect([...asked('join_room'), ...asked('leave_room')]).toEqual([]);
  });

  test('a join that waits for the connection and its leave are both said', () => {
    server.last.drop();
    void rooms(anita)
      .join('hall')
      .catch(() => undefined);
    void rooms(anita)
      .leave('hall')
      .catch(() => undefined);
    anita.retryNow();
    return clock.advance(0).then(() => {
      server.last.welcome();
      expect([...asked('join_room'), ...asked('leave_room')]).toEqual([{ room: 'hall' }, { room: 'hall' }]);
    });
  });

  test('leaving a room that nobody joined asks the server: it may have put the client there', () => {
    void rooms(anita)
      .leave('uwb')
      .catch(() => undefined);
    expect(asked('leave_room')).toEqual([{ room: 'uwb' }]);
  });
});

describe('the room that /ws/uwb joins by itself', () => {
  const status = (seq: number): void => {
    const payload = { device_id: 'a', status: 'stale' };
    server.last.tell('device.status', payload, { room: 'uwb', epoch: 'e', seq });
  };

  beforeEach(async () => {
    anita.close();
    anita = await open('/ws/uwb?site=main');
  });

  test('is not asked for, and stays when everybody who joined it beside has left', async () => {
    expect(asked('join_room')).toEqual([]);
    const joins = [rooms(anita).join('uwb'), rooms(anita).join('uwb')];
    expect(asked('join_room')).toEqual([{ room: 'uwb' }]);
    answerJoins(server.last);
    expect(await Promise.all(joins)).toEqual([joined('uwb'), joined('uwb')]);
    await Promise.all(joins.map(() => rooms(anita).leave('uwb')));
    expect(asked('leave_room')).toEqual([]);
    // Nothing is asked of the server again, which would tell where everything is once more.
    status(6);
    expect(await rooms(anita).join('uwb')).toEqual(joined('uwb'));
    await rooms(anita).leave('uwb');
    expect(asked('leave_room')).toEqual([]);
  });

  test('a join of one who knows a number of it from the messages themselves asks nothing', async () => {
    status(7);
    expect(await rooms(anita).join('uwb')).toEqual({ room: 'uwb', epoch: 'e', seq: 7 });
    expect(asked('join_room')).toEqual([]);
  });

  test('ends where somebody leaves who never joined, until the endpoint joins it again', async () => {
    void rooms(anita).leave('uwb');
    expect(asked('leave_room')).toEqual([{ room: 'uwb' }]);
    server.last.answer('leave_room', 'room.left', { room: 'uwb' });
    await again();
    const join = rooms(anita).join('uwb');
    answerJoins(server.last);
    await join;
    await rooms(anita).leave('uwb');
    expect(asked('leave_room')).toEqual([]);
  });

  test('is asked for after a reconnect from where it was, and nothing is taken for lost before the answer', async () => {
    status(5);
    const connection = await again();
    expect(asked('join_room')).toEqual([{ room: 'uwb', since: { epoch: 'e', seq: 5 } }]);
    // The endpoint has joined already: what is new comes before what was missed.
    status(8);
    connection.tell('room.advanced', { room: 'uwb', epoch: 'e', seq: 9 });
    status(6);
    status(7);
    connection.answer('join_room', 'room.joined', joined('uwb', { seq: 9, recovered: true }));
    status(10);
    await clock.advance(0);
    expect(gaps).toEqual([]);
    expect(resyncs).toEqual([{ isWhole: true, lost: [] }]);
    status(12);
    expect(gaps).toEqual([{ room: 'uwb', epoch: 'e', fromSeq: 11, toSeq: 11 }]);
  });

  test('what was new before the answer hides nothing that cannot be recovered', async () => {
    status(5);
    const connection = await again();
    status(8);
    connection.tell('room.advanced', { room: 'uwb', epoch: 'e', seq: 9 });
    connection.answer('join_room', 'room.joined', joined('uwb', { seq: 9, recovered: false }));
    await clock.advance(0);
    expect(gaps).toEqual([{ room: 'uwb', epoch: 'e', fromSeq: 6, toSeq: 9 }]);
    expect(resyncs).toEqual([{ isWhole: false, lost: ['uwb'] }]);
  });

  test('where no number was heard, a reconnect is not called whole', async () => {
    await again();
    await clock.advance(0);
    expect(asked('join_room')).toEqual([]);
    expect(resyncs).toEqual([{ isWhole: false, lost: ['uwb'] }]);
  });
});

describe('after a reconnect', () => {
  const joinBoth = async (): Promise<void> => {
    const both = [rooms(anita).join('hall'), rooms(anita).join('yard')];
    answerJoins(server.last);
    await Promise.all(both);
  };

  test('resync says that everything is whole when it is', async () => {
    await joinBoth();
    expect(resyncs).toEqual([]);
    const connection = await again();
    expect(asked('join_room')).toEqual([
      { room: 'hall', since: { epoch: 'e', seq: 5 } },
      { room: 'yard', since: { epoch: 'e', seq: 5 } },
    ]);
    answerJoins(connection, { hall: { seq: 9, recovered: true } });
    await clock.advance(0);
    expect(resyncs).toEqual([{ isWhole: true, lost: [] }]);
    expect(gaps).toEqual([]);
  });

  test('resync names the rooms that have to be read anew, and those that cannot be joined', async () => {
    await joinBoth();
    const connection = await again();
    const [hall, yard] = connection.heard('join_room');
    connection.answer(hall!, 'room.joined', joined('hall', { seq: 9, recovered: false }));
    connection.refuse(yard!, 'forbidden');
    await clock.advance(0);
    expect(gaps).toEqual([{ room: 'hall', epoch: 'e', fromSeq: 6, toSeq: 9 }]);
    expect(resyncs).toEqual([{ isWhole: false, lost: ['hall', 'yard'] }]);
    const third = await again();
    expect(asked('join_room', third)).toEqual([{ room: 'hall', since: { epoch: 'e', seq: 9 } }]);
  });

  test('a reconnect that is lost before the answers says nothing; the next one does', async () => {
    await joinBoth();
    await again();
    const third = await again();
    expect(asked('join_room', third)).toHaveLength(2);
    answerJoins(third);
    await clock.advance(0);
    expect(resyncs).toEqual([{ isWhole: true, lost: [] }]);
  });

  test('without rooms everything is whole', async () => {
    await again();
    await clock.advance(0);
    expect(resyncs).toEqual([{ isWhole: true, lost: [] }]);
  });
});

describe('the numbering', () => {
  const say = (seq: number, epoch = 'e'): void => {
    const payload = { room: 'hall', name: 'n', data: seq, from: { client_id: 'c', user_id: 'u' } };
    server.last.tell('room.message', payload, { room: 'hall', epoch, seq });
  };

  test.each<[what: string, tell: () => void, expected: Partial<Gap> | undefined]>([
    ['the next number', () => say(6), undefined],
    ['a number again', () => say(4), undefined],
    ['a number too far', () => say(8), { fromSeq: 6, toSeq: 7 }],
    ['another numbering', () => say(1, 'f'), { epoch: 'f' }],
    [
      'numbers that were for others',
      () => (server.last.tell('room.advanced', { room: 'hall', epoch: 'e', seq: 7 }), say(8)),
      undefined,
    ],
    [
      'numbers for others in another numbering',
      () => server.last.tell('room.advanced', { room: 'hall', epoch: 'f', seq: 7 }),
      undefined,
    ],
    [
      'a gap that the server names',
      () => server.last.tell('room.gap', { room: 'hall', epoch: 'e', from_seq: 6, to_seq: 9 }),
      { fromSeq: 6, toSeq: 9 },
    ],
    ['another room', () => server.last.tell('room.message', {}, { room: 'yard', epoch: 'e', seq: 99 }), undefined],
  ])('%s', async (_, tell, expected) => {
    const join = rooms(anita).join('hall');
    answerJoins(server.last);
    await join;
    tell();
    expect(gaps).toEqual(expected ? [{ room: 'hall', epoch: 'e', ...expected }] : []);
  });
});
