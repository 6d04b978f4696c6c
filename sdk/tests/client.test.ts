import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import {
  AnitaClient,
  rooms,
  type AnitaError,
  type ClientOptions,
  type CloseInfo,
  type State,
  type TokenAsk,
} from '../src/index.js';
import { explain } from '../src/explain.js';
import { hello } from '../src/testing.js';
import { ScriptedServer, type Peer, startMute } from './server.js';

const open: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.stop();
});

async function serve(...scripts: ((peer: Peer) => unknown)[]): Promise<ScriptedServer> {
  const server = await ScriptedServer.start(...scripts);
  open.push(server);
  return server;
}

function make(url: string, options: ClientOptions = {}) {
  const anita = new AnitaClient(url, {
    WebSocket,
    token: 'secret',
    backoff: { baseMs: 40, capMs: 100 },
    random: () => 0.5,
    ...options,
  });
  open.push({ stop: () => anita.close() });
  const errors: AnitaError[] = [];
  const closes: CloseInfo[] = [];
  const states: State[] = [];
  anita.on('error', (error) => errors.push(error));
  anita.on('close', (info) => closes.push(info));
  anita.on('state', (now) => states.push(now));
  return { anita, errors, closes, states };
}

const once = (anita: AnitaClient, type: 'open' | 'close' | 'error') =>
  new Promise<void>((resolve) => void anita.on(type, () => resolve(), { once: true }));
const welcome = (peer: Peer) => peer.welcome();
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error as AnitaError,
  );

describe('connecting', () => {
  test('the token goes in a message, not in the address', async () => {
    const server = await serve(welcome);
    const { anita, states } = make(server.url);
    const sent: string[] = [];
    anita.on('sent', (text) => sent.push(text));
    expect(anita.state).toBe('idle');
    expect(await anita.connect()).toMatchObject({ user_id: 'alice', protocol: 'anita.v1' });
    expect(states).toEqual(['connecting', 'authenticating', 'online']);
    expect(anita.hello).toEqual(hello);
    expect(anita.error).toBeUndefined();
    expect(server.peers[0]).toMatchObject({ url: '/ws/uwb', protocol: 'anita.v1' });
    expect(sent.join()).not.toContain('secret');
    expect(await anita.connect()).toEqual(hello);
    expect(server.peers).toHaveLength(1);
  });

  test('without a token, a session is enough', async () => {
    const server = await serve((peer) => peer.tell('system.connection', hello));
    const { anita } = make(server.url, { token: undefined } as unknown as ClientOptions);
    await anita.connect();
    expect(server.peers[0]!.said).toEqual([]);
  });

  test('without a token and without a session, somebody has to sign in', async () => {
    const server = await serve(welcome);
    const anita = new AnitaClient(server.url, { WebSocket });
    const error = await failure(anita.connect());
    expect(error).toMatchObject({ kind: 'auth', code: 'unauthenticated' });
    expect(anita.state).toBe('failed');
    expect(anita.error).toBe(error);
  });

  test('a wrong token is final, and says why', async () => {
    const server = await serve(async (peer) => {
      peer.tell('system.auth_required', { auth_methods: [], message: '' });
      await peer.hear('authenticate');
      peer.error('invalid_token', { message: 'The signature is wrong.' });
      peer.close(4501, { code: 'invalid_token' });
    });
    const { anita, errors, closes } = make(server.url);
    expect(await failure(anita.connect())).toMatchObject({ kind: 'auth', code: 'invalid_token', retryable: false });
    expect(anita.state).toBe('failed');
    expect(errors.map(({ message }) => message)).toEqual(['The signature is wrong.']);
    expect(closes).toMatchObject([{ code: 4501, reason: 'invalid_token', willReconnect: false }]);
    expect(server.peers).toHaveLength(1);
    expect(await failure(anita.request('ping', {}))).toMatchObject({ code: 'invalid_token' });
  });

  test('after a final failure, connect starts anew', async () => {
    const server = await serve((peer) => peer.close(4501), welcome);
    const { anita } = make(server.url);
    await failure(anita.connect());
    await anita.connect();
    expect(anita.state).toBe('online');
    expect(anita.error).toBeUndefined();
  });

  test('a server that never answers is given up in time, and tried again', async () => {
    const { url, server } = await startMute();
    const { anita, errors, closes } = make(url, { connectTimeoutMs: 60 });
    void anita.connect();
    await once(anita, 'close');
    expect(errors).toMatchObject([{ kind: 'timeout', code: 'connect_timeout', retryable: true }]);
    expect(closes).toMatchObject([{ code: 4408, willReconnect: true }]);
    expect(anita.state).toBe('waiting');
    anita.close();
    server.close();
  });

  test('the time for connecting covers authentication', async () => {
    const server = await serve(() => undefined, welcome);
    // Short for the first attempt, and long enough for the second one on a machine that stands still meanwhile.
    const { anita, errors } = make(server.url, { connectTimeoutMs: 1_000 });
    await anita.connect();
    expect(errors[0]).toMatchObject({ code: 'connect_timeout' });
    expect(server.peers.length).toBeGreaterThanOrEqual(2);
  });

  test('nobody there is a connection error that is tried again', async () => {
    const server = await ScriptedServer.start(welcome);
    await server.stop();
    const { anita, errors } = make(server.url);
    void anita.connect();
    await once(anita, 'error');
    expect(errors[0]).toMatchObject({ kind: 'connection', code: 'unreachable', retryable: true });
    expect(explain(errors[0]!).remedy).not.toBe('');
    expect(anita.state).toBe('waiting');
    expect(anita.retryAt).toBeGreaterThan(Date.now() - 50);
  });

  test('an address that is none is final', async () => {
    const { anita } = make('nonsense');
    expect(await failure(anita.connect())).toMatchObject({ kind: 'connection', code: 'no_socket' });
    expect(anita.state).toBe('failed');
  });

  test('a runtime without WebSocket says what to do', async () => {
    const anita = new AnitaClient('ws://127.0.0.1:1/', {});
    const error = await failure(anita.connect());
    if (!('WebSocket' in globalThis)) expect(error!.message).toContain('`ws`');
    anita.close();
  });
});

describe('coming back', () => {
  test('1000 from the server: still wanted, so back, and no error', async () => {
    const server = await serve(async (peer) => {
      await peer.welcome();
      peer.close(1000);
    }, welcome);
    const { anita, errors } = make(server.url);
    await anita.connect();
    await once(anita, 'close');
    await anita.connect();
    expect(server.peers).toHaveLength(2);
    expect(anita.stats().reconnects).toBe(1);
    expect(errors).toEqual([]);
  });

  test('4401 asks for a fresh token, once', async () => {
    const asks: TokenAsk['reason'][] = [];
    const server = await serve(async (peer) => {
      await peer.welcome();
      peer.close(4401, { code: 'token_expired' });
    }, welcome);
    const { anita, closes } = make(server.url, {
      token: ({ reason }) => {
        asks.push(reason);
        return `${reason}-token`;
      },
    });
    await anita.connect();
    await once(anita, 'close');
    expect(closes).toMatchObject([{ code: 4401, reason: 'token_expired', willReconnect: true }]);
    await anita.connect();
    expect(asks).toEqual(['connect', 'rejected']);
  });

  test('a second 4401 in a row is final', async () => {
    const asks: TokenAsk['reason'][] = [];
    const server = await serve(async (peer) => {
      peer.tell('system.auth_required', { auth_methods: [], message: '' });
      await peer.hear('authenticate');
      peer.close(4401, { code: 'token_expired' });
    });
    const { anita } = make(server.url, {
      token: async ({ reason }) => {
        asks.push(reason);
        return Promise.resolve('old');
      },
    });
    expect(await failure(anita.connect())).toMatchObject({ kind: 'auth', code: 'token_expired' });
    expect(asks).toEqual(['connect', 'rejected']);
    expect(anita.state).toBe('failed');
  });

  test('4401 with a token that is a plain text is final: it would be the same again', async () => {
    const server = await serve((peer) => peer.close(4401));
    const { anita } = make(server.url);
    expect(await failure(anita.connect())).toMatchObject({ kind: 'auth' });
    expect(server.peers).toHaveLength(1);
  });

  test('a token is asked for before every reconnect', async () => {
    let asked = 0;
    const server = await serve(
      async (peer) => {
        await peer.welcome();
        peer.socket.terminate();
      },
      async (peer) => {
        const said = await peer.welcome();
        expect(said.payload).toEqual({ token: 'token2' });
      },
    );
    const { anita, errors } = make(server.url, { token: () => `token${++asked}` });
    await anita.connect();
    await once(anita, 'close');
    await anita.connect();
    expect(asked).toBe(2);
    expect(errors).toMatchObject([{ kind: 'connection', code: 'connection_lost' }]);
  });

  test('a token function that fails is asked again; a fatal failure is final', async () => {
    const server = await serve(welcome);
    let asked = 0;
    const { anita, errors } = make(server.url, {
      token: () => {
        asked++;
        if (asked === 1) throw new Error('no network');
        return asked === 2 ? '' : 'secret';
      },
    });
    await anita.connect();
    expect(asked).toBe(3);
    expect(errors).toMatchObject([
      { kind: 'auth', code: 'token_failed', retryable: true },
      { kind: 'auth', code: 'token_failed', retryable: true },
    ]);

    const second = make(server.url, { token: () => Promise.reject(Object.assign(new Error('gone'), { fatal: true })) });
    expect(await failure(second.anita.connect())).toMatchObject({ code: 'token_failed', retryable: false });
    expect(second.anita.state).toBe('failed');
  });

  test('the signal of the token function aborts when the attempt ends', async () => {
    let aborted = 0;
    const { anita } = make('ws://127.0.0.1:1/', {
      connectTimeoutMs: 40,
      token: ({ signal }) =>
        new Promise(() => {
          signal.addEventListener('abort', () => aborted++);
        }),
    });
    void anita.connect();
    await once(anita, 'error');
    expect(aborted).toBe(1);
    expect(anita.error).toMatchObject({ code: 'connect_timeout' });
    expect(anita.state).toBe('waiting');
  });

  test.each([
    ['of the close reason', (peer: Peer) => peer.close(1013, { code: 'try_later', retry_after_ms: 200 })],
    [
      'of system.reconnect',
      (peer: Peer) => {
        peer.tell('system.reconnect', { retry_after_ms: 200, message: 'restart' });
        peer.close(1012);
      },
    ],
    [
      'of an error that answers no request',
      (peer: Peer) => {
        peer.error('rate_limited', { retryable: true, retry_after_ms: 200 });
        peer.close(4429);
      },
    ],
  ])('retry_after_ms %s is obeyed', async (_, script) => {
    const server = await serve(async (peer) => {
      await peer.welcome();
      script(peer);
    }, welcome);
    const { anita, closes } = make(server.url);
    await anita.connect();
    await once(anita, 'close');
    // It tells what is left, some of which may be gone; without the wish it is 40 ms at most.
    expect(closes[0]!.retryInMs).toBeGreaterThan(100);
    expect(closes[0]!.retryInMs).toBeLessThanOrEqual(260);
    await anita.connect();
  });

  test('retryNow does not wait', async () => {
    const server = await serve((peer) => peer.close(1013, { code: 'try_later', retry_after_ms: 60_000 }), welcome);
    const { anita } = make(server.url);
    const online = anita.connect();
    await once(anita, 'close');
    expect(anita.retryAt! - Date.now()).toBeGreaterThan(50_000);
    anita.retryNow();
    await online;
    expect(anita.retryAt).toBeUndefined();
  });

  test.each([1002, 1003, 1007, 1008, 1009, 1010, 4500, 4503, 4504, 4509, 4777])('%i: stays away', async (code) => {
    const server = await serve((peer) => peer.close(code));
    const { anita, closes } = make(server.url);
    await failure(anita.connect());
    expect(anita.state).toBe('failed');
    expect(closes).toMatchObject([{ code, willReconnect: false }]);
    expect(explain(code).remedy).not.toBe('');
  });
});

describe('messages', () => {
  test('a hello, garbage, strangers and wrong payloads', async () => {
    const server = await serve(async (peer) => {
      await peer.welcome();
      peer.socket.send('not json');
      peer.socket.send(Buffer.from([1, 2, 3]));
      peer.socket.send('[]');
      peer.tell('acme.news', { any: 'thing' });
      peer.tell('close', { code: 1000 });
      peer.tell('uwb.location', { device_id: 'a', location: { x: 'east' }, timestamp: 't', received_at: 't' });
      peer.tell('system.heartbeat', { server_time: 't', uptime_seconds: 1, more: 'is allowed' });
    });
    const { anita, errors, closes } = make(server.url);
    const types: string[] = [];
    anita.on('message', ({ type }, text) => types.push(`${type} ${typeof text}`));
    const located = vi.fn();
    anita.on('uwb.location', located);
    const beat = new Promise((resolve) => anita.on('system.heartbeat', resolve));
    await anita.connect();
    expect(await beat).toMatchObject({ uptime_seconds: 1 });
    expect(errors.map(({ kind, code }) => `${kind} ${code}`)).toEqual([
      'parse invalid_json',
      'parse invalid_json',
      'parse invalid_message',
      'validation invalid_payload',
    ]);
    expect(errors[3]!.message).toContain('location.x');
    expect(located).not.toHaveBeenCalled();
    expect(closes).toEqual([]);
    expect(anita.stats()).toMatchObject({ received: 9, invalid: 4, unknown: 2 });
    expect(types).toEqual([
      'system.auth_required string',
      'system.connection string',
      'acme.news string',
      'close string',
      'uwb.location string',
      'system.heartbeat string',
    ]);
    expect(anita.stats().lastMessageAt).toBeGreaterThan(Date.now() - 5_000);
    expect(anita.stats().bytes).toBeGreaterThan(100);
  });

  test('validate: false lets everything through', async () => {
    const server = await serve(async (peer) => {
      await peer.welcome();
      peer.tell('uwb.location', { device_id: 7 });
    });
    const { anita } = make(server.url, { validate: false });
    const told = new Promise((resolve) => anita.on('uwb.location', resolve));
    await anita.connect();
    expect(await told).toEqual({ device_id: 7 });
  });

  test('send and sendText, by hand', async () => {
    const server = await serve(welcome);
    const { anita, errors } = make(server.url);
    expect(anita.send('ping', {})).toBe(false);
    await anita.connect();
    expect(anita.send('ping', {})).toBe(true);
    expect(anita.send('join_room', { rooom: 'x' })).toBe(false);
    expect(errors).toMatchObject([{ kind: 'validation' }]);
    expect(anita.sendText('{"type":"acme.order"}')).toBe(true);
    await server.peers[0]!.hear('ping');
    await server.peers[0]!.hear('acme.order');
  });
});

describe('requests', () => {
  test('answers find their requests by id, in any order', async () => {
    const server = await serve(async (peer) => {
      await peer.welcome();
      const [first, second] = [await peer.hear('get_device_location'), await peer.hear('get_device_location')];
      const fix = { location: { x: 1, y: 2, z: 3 }, timestamp: 't', received_at: 't' };
      peer.answer(second, 'uwb.location', { ...fix, device_id: second.payload['device_id'] });
      peer.answer(first, 'uwb.location', { ...fix, device_id: first.payload['device_id'] });
    });
    const { anita } = make(server.url);
    // Asked before there is a connection: they wait for it.
    const both = ['a', 'b'].map((device_id) => anita.request('get_device_location', { device_id }));
    await anita.connect();
    expect((await Promise.all(both)).map((it) => it.device_id)).toEqual(['a', 'b']);
  });

  test('an error with the id rejects, with its remedy', async () => {
    const server = await serve(async (peer) => {
      await peer.welcome();
      const said = await peer.hear('get_device_location');
      peer.error('not_found', { details: { device_id: 'x' } }, said.id);
    });
    const { anita, errors } = make(server.url);
    await anita.connect();
    const error = await failure(anita.request('get_device_location', { device_id: 'x' }));
    expect(error).toMatchObject({ kind: 'server', code: 'not_found', retryable: false, details: { device_id: 'x' } });
    expect(explain(error!).remedy).not.toBe('');
    expect(errors).toEqual([error]);
    expect(anita.state).toBe('online');
  });

  test('timeout, abort, and an answer that comes too late', async () => {
    const server = await serve(async (peer) => {
      await peer.welcome();
      const said = await peer.hear('ping');
      setTimeout(() => peer.answer(said, 'system.pong', { server_time: 't' }), 80);
    });
    const { anita, errors } = make(server.url);
    await anita.connect();
    expect(await failure(anita.request('ping', {}, { timeoutMs: 30 }))).toMatchObject({
      kind: 'timeout',
      code: 'timeout',
    });
    const reason = new Error('no longer');
    const ended = new AbortController();
    const asked = failure(anita.request('ping', {}, { signal: ended.signal }));
    ended.abort(reason);
    expect(await asked).toMatchObject({ code: 'aborted', cause: reason });
    expect(await failure(anita.request('ping', {}, { signal: AbortSignal.abort(reason) }))).toMatchObject({
      code: 'aborted',
    });
    await new Promise((resolve) => anita.on('system.pong', resolve));
    expect(errors.map(({ kind }) => kind)).toEqual(['timeout']);
  });

  test('a request that does not fit is not sent; an answer that does not fit rejects', async () => {
    const server = await serve(async (peer) => {
      await peer.welcome();
      peer.answer(await peer.hear('ping'), 'system.pong', {});
    });
    const { anita, errors } = make(server.url);
    await anita.connect();
    const wrong = failure(anita.request('join_room', { room: 7 } as unknown as { room: string }));
    expect(await wrong).toMatchObject({ kind: 'validation', details: { path: 'room', type: 'join_room' } });
    expect(await failure(anita.request('ping', {}))).toMatchObject({ kind: 'validation' });
    expect(errors).toHaveLength(2);
    expect(server.peers[0]!.said).toEqual([]);
  });

  test('what was sent is rejected when the connection goes; what waits, waits on', async () => {
    const server = await serve(
      async (peer) => {
        await peer.welcome();
        await peer.hear('ping');
        peer.socket.terminate();
      },
      async (peer) => {
        await peer.welcome();
        peer.answer(await peer.hear('ping'), 'system.pong', { server_time: 'second' });
      },
    );
    const { anita } = make(server.url);
    await anita.connect();
    expect(await failure(anita.request('ping', {}))).toMatchObject({ code: 'disconnected', retryable: true });
    expect(await anita.request('ping', {})).toEqual({ server_time: 'second' });
  });

  test('at most 100 wait', async () => {
    const { anita, errors } = make('ws://127.0.0.1:1/');
    const asked = Array.from({ length: 101 }, () => failure(anita.request('ping', {})));
    expect(await asked[100]).toMatchObject({ code: 'queue_full', retryable: true });
    expect(errors).toHaveLength(1);
    anita.close();
    expect(new Set((await Promise.all(asked.slice(0, 100))).map((error) => error!.code))).toEqual(new Set(['closed']));
  });
});

describe('rooms', () => {
  const joined = (peer: Peer, said: { id?: string }, more: object) =>
    peer.tell('room.joined', { room: 'hall', epoch: 'e1', seq: 5, ...more }, { id: said.id });
  const numbered = (peer: Peer, seq: number, epoch = 'e1') =>
    peer.tell(
      'room.message',
      { room: 'hall', name: 'n', data: seq, from: { client_id: 'c', user_id: 'u' } },
      { room: 'hall', epoch, seq },
    );

  test('a room is joined again from where it was left', async () => {
    const server = await serve(
      async (peer) => {
        await peer.welcome();
        joined(peer, await peer.hear('join_room'), {});
        numbered(peer, 6);
        numbered(peer, 7);
        peer.close(1012);
      },
      async (peer) => {
        await peer.welcome();
        const said = await peer.hear('join_room');
        expect(said.payload).toEqual({ room: 'hall', since: { epoch: 'e1', seq: 7 } });
        numbered(peer, 8);
        joined(peer, said, { seq: 8, recovered: true });
        numbered(peer, 9);
      },
    );
    const { anita } = make(server.url);
    const gap = vi.fn();
    rooms(anita).on('gap', gap);
    const nine = new Promise<void>((resolve) => anita.on('room.message', (_, { seq }) => seq === 9 && resolve()));
    // Before there is a connection, too: asked once, not twice.
    const answer = rooms(anita).join('hall');
    await anita.connect();
    expect(await answer).toMatchObject({ seq: 5 });
    await nine;
    expect(gap).not.toHaveBeenCalled();
    expect(server.peers[0]!.said).toEqual([]);
  });

  test('what is lost is told', async () => {
    const server = await serve(
      async (peer) => {
        await peer.welcome();
        joined(peer, await peer.hear('join_room'), {});
        numbered(peer, 6);
        numbered(peer, 9);
        peer.tell('room.gap', { room: 'hall', epoch: 'e1', from_seq: 10, to_seq: 12 });
        numbered(peer, 13);
        peer.close(1012);
      },
      async (peer) => {
        await peer.welcome();
        joined(peer, await peer.hear('join_room'), { epoch: 'e1', seq: 20, recovered: false });
        peer.close(1012);
      },
      async (peer) => {
        await peer.welcome();
        joined(peer, await peer.hear('join_room'), { epoch: 'e2', seq: 0, recovered: false });
      },
    );
    const { anita } = make(server.url);
    const gaps: object[] = [];
    const all = new Promise<void>((resolve) => rooms(anita).on('gap', (gap) => gaps.push(gap) === 4 && resolve()));
    await anita.connect();
    await rooms(anita).join('hall');
    await all;
    expect(gaps).toEqual([
      { room: 'hall', epoch: 'e1', fromSeq: 7, toSeq: 8 },
      { room: 'hall', epoch: 'e1', fromSeq: 10, toSeq: 12 },
      { room: 'hall', epoch: 'e1', fromSeq: 14, toSeq: 20 },
      { room: 'hall', epoch: 'e2' },
    ]);
  });

  test('a room that was left, refused or taken away is not joined again', async () => {
    const server = await serve(
      async (peer) => {
        await peer.welcome();
        for (const room of ['left', 'taken', 'kept']) joined(peer, await peer.hear('join_room'), { room });
        peer.error('forbidden', {}, (await peer.hear('join_room')).id);
        peer.answer(await peer.hear('leave_room'), 'room.left', { room: 'left' });
        peer.tell('room.left', { room: 'taken' });
        peer.close(1012);
      },
      async (peer) => {
        await peer.welcome();
        joined(peer, await peer.hear('join_room'), { room: 'kept' });
      },
    );
    const { anita } = make(server.url);
    await anita.connect();
    await Promise.all(['left', 'taken', 'kept'].map((room) => rooms(anita).join(room)));
    expect(await failure(rooms(anita).join('refused'))).toMatchObject({ code: 'forbidden' });
    await rooms(anita).leave('left');
    await new Promise((resolve) => anita.on('room.joined', resolve));
    expect(server.peers[1]!.said).toEqual([]);
  });
});

describe('closing', () => {
  test('close is final, and tells so', async () => {
    const server = await serve(welcome);
    const { anita, closes, errors } = make(server.url);
    await anita.connect();
    const pending = failure(anita.request('ping', {}));
    anita.close();
    anita.close();
    expect(anita.state).toBe('closed');
    expect(closes).toEqual([{ code: 1000, reason: 'normal', willReconnect: false }]);
    expect(errors).toEqual([]);
    expect(await server.peers[0]!.closed).toBe(1000);
    expect(await pending).toMatchObject({ code: 'disconnected' });
    expect(await failure(anita.connect())).toMatchObject({ code: 'closed' });
    expect(await failure(anita.request('ping', {}))).toMatchObject({ code: 'closed' });
    anita.retryNow();
    expect(anita.state).toBe('closed');
  });

  test('close while connecting rejects connect', async () => {
    const { url, server } = await startMute();
    const { anita } = make(url);
    const online = failure(anita.connect());
    await new Promise((resolve) => setTimeout(resolve, 30));
    anita.close();
    expect(await online).toMatchObject({ code: 'closed' });
    server.close();
  });

  test('a handler may close', async () => {
    const server = await serve(async (peer) => {
      await peer.welcome();
      peer.tell('system.heartbeat', { server_time: 't', uptime_seconds: 1 });
    });
    const { anita, states } = make(server.url);
    anita.on('state', (now) => {
      if (now === 'online') anita.close();
    });
    expect(await failure(anita.connect())).toMatchObject({ code: 'closed' });
    expect(states.at(-1)).toBe('closed');
  });
});
