import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AnitaClient, rooms, type AnitaError, type Gap, type Resync } from '../src/index.js';
import { FakeServer, ManualClock, type FakeConnection } from '../src/testing.js';

let clock: ManualClock;
let server: FakeServer;
let anita: AnitaClient;
let gaps: Gap[];
let resyncs: Resync[];

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
  anita = new AnitaClient('wss://plant.test/ws', { WebSocket: server.WebSocket, network: null, random: () => 0 });
  gaps = [];
  resyncs = [];
  rooms(anita).on('gap', (gap) => gaps.push(gap));
  rooms(anita).on('resync', (resync) => resyncs.push(resync));
  void anita.connect();
  await clock.advance(0);
  server.last.welcome();
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

  test('leaving a room that nobody joined asks the server: it may have put the client there', () => {
    void rooms(anita)
      .leave('uwb')
      .catch(() => undefined);
    expect(asked('leave_room')).toEqual([{ room: 'uwb' }]);
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
