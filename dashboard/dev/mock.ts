import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { WebSocketServer, type WebSocket } from 'ws';

import { Hall, SITE, stamp } from './site.ts';

/**
 * A scripted server: enough of ANITA's face to work on the page without the real program, and to bring the page into
 * situations that the real one does not offer on demand. It is no measure of what the real one does.
 */
export interface Mock {
  readonly url: string;
  /** The one token it takes. */
  readonly token: string;
  /** Sends a text to every socket. */
  say(text: string): void;
  /** Closes every socket. */
  hangUp(code: number, reason?: string): void;
  /** Ends every session, as a revocation does. */
  revoke(): void;
  /** Texts that clients sent. */
  readonly heard: string[];
  close(): Promise<void>;
}

export interface MockOptions {
  readonly port?: number;
  readonly tags?: number;
  /** Position rounds a second. */
  readonly hz?: number;
  /** Whether it knows the sessions that were made before it started. */
  readonly remembers?: boolean;
  /** Devices are on so many floors, from -1 up; with 1, they tell none. */
  readonly floors?: number;
  /** The client may change and remove devices. */
  readonly operator?: boolean;
  /** The client may have no view: positions come from the room alone. */
  readonly refusesViews?: boolean;
  /** The folder with the built page. */
  readonly root?: string;
}

export const TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSIsInJvbGVzIjpbInZpZXdlciJdfQ.c2lnbmF0dXJl';

const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; " +
  "require-trusted-types-for 'script'";
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const COOKIE = 'anita_session=one';
const READER = ['devices.read', 'history.read', 'rooms.join'];

interface Roles {
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
}

const VIEWER: Roles = { roles: ['viewer'], permissions: READER };
const OPERATOR: Roles = { roles: ['operator'], permissions: [...READER, 'devices.write'] };

const inOneHour = (): string => stamp(Date.now() + 3_600_000);

export async function startMock(options: MockOptions = {}): Promise<Mock> {
  const { port = 0, tags = 50, hz = 10, remembers = true, root, floors = 1, operator = false } = options;
  const { refusesViews = false } = options;
  const hall = new Hall(tags, floors);
  const roles: Roles = operator ? OPERATOR : VIEWER;
  const heard: string[] = [];
  const members = new Set<WebSocket>();
  /** Those that asked for a view: all positions of a round come in one message. */
  const viewers = refusesViews ? undefined : new WeakSet<WebSocket>();
  /** Those that hear each position from the room. */
  const listeners = new WeakSet<WebSocket>();
  let sessions = remembers;

  const http = createServer((request, response) => {
    void answer(
      request,
      response,
      root,
      roles,
      () => sessions && request.headers.cookie?.includes(COOKIE) === true,
      () => {
        sessions = true;
      },
    );
  });
  const sockets = new WebSocketServer({ server: http, path: '/ws' });
  sockets.on('connection', (socket, request) => {
    if (!sessions || request.headers.cookie?.includes(COOKIE) !== true) {
      tell(socket, 'system.auth_required', { auth_methods: ['message'], message: 'Send authenticate.' });
      return;
    }
    welcome(socket, roles);
    members.add(socket);
    socket.on('close', () => members.delete(socket));
    socket.on('message', (data: Buffer) => {
      const text = data.toString();
      heard.push(text);
      reply(socket, hall, text, roles, say, viewers, listeners);
    });
  });

  const say = (text: string): void => {
    for (const socket of members) socket.send(text);
  };
  const walking = setInterval(() => {
    const moved = hall.step(1 / hz);
    const all = [...members];
    const inView = all.filter((socket) => viewers?.has(socket));
    if (inView.length > 0) {
      const positions: Record<string, unknown> = {};
      for (const { id, location, accuracy, battery, floor, timestamp } of moved) {
        positions[id] = { ...location, accuracy, battery, floor, timestamp };
      }
      const payload = { positions, timestamp: stamp() };
      const text = JSON.stringify({ type: 'uwb.position_update', subscription: VIEW, payload });
      for (const socket of inView) socket.send(text);
    }
    const inRoom = all.filter((socket) => listeners.has(socket));
    if (inRoom.length === 0) return;
    for (const { id, location, accuracy, battery, floor, timestamp, received_at } of moved) {
      const fix = { device_id: id, location, accuracy, battery, floor, timestamp, received_at };
      const text = envelope('uwb.location', fix);
      for (const socket of inRoom) socket.send(text);
    }
  }, 1_000 / hz);
  const beating = setInterval(() => {
    say(envelope('system.heartbeat', { server_time: stamp(), uptime_seconds: Math.floor(process.uptime()) }));
  }, 5_000);

  await new Promise<void>((done, fail) => {
    http.once('error', fail);
    http.listen(port, '127.0.0.1', done);
  });
  return {
    url: `http://127.0.0.1:${String((http.address() as AddressInfo).port)}/`,
    token: TOKEN,
    heard,
    say,
    hangUp: (code, reason) => {
      for (const socket of members) socket.close(code, reason);
    },
    revoke: () => {
      sessions = false;
    },
    close: () => {
      clearInterval(walking);
      clearInterval(beating);
      return stop(http, sockets);
    },
  };
}

function stop(http: Server, sockets: WebSocketServer): Promise<void> {
  for (const socket of sockets.clients) socket.terminate();
  sockets.close();
  http.closeAllConnections();
  return new Promise((done) =>
    http.close(() => {
      done();
    }),
  );
}

function envelope(type: string, payload: unknown, id?: unknown): string {
  return JSON.stringify(id === undefined ? { type, payload } : { type, id, payload });
}

function tell(socket: WebSocket, type: string, payload: unknown, id?: unknown): void {
  socket.send(envelope(type, payload, id));
}

function welcome(socket: WebSocket, roles: Roles): void {
  tell(socket, 'system.connection', {
    client_id: 'c-1',
    status: 'authenticated',
    user_id: 'alice',
    ...roles,
    expires_at: inOneHour(),
    heartbeat_interval_secs: 5,
    protocol: 'anita.v1',
    limits: {
      message_bytes: 262_144,
      requests_per_second: 50,
      rooms: 64,
      locations_per_report: 1_000,
      devices_per_page: 1_000,
      history_per_page: 1_000,
    },
  });
}

/** The name of the one view that there is. */
const VIEW = 's1';

function reply(
  socket: WebSocket,
  hall: Hall,
  text: string,
  roles: Roles,
  say: (text: string) => void,
  viewers: WeakSet<WebSocket> | undefined,
  listeners: WeakSet<WebSocket>,
): void {
  let message: { type?: unknown; payload?: Record<string, unknown>; id?: unknown };
  try {
    message = JSON.parse(text) as typeof message;
  } catch {
    tell(socket, 'error', { code: 'invalid_json', message: 'The message is not JSON.', retryable: false });
    return;
  }
  const { type, payload = {}, id } = message;
  switch (type) {
    case 'ping':
      tell(socket, 'system.pong', { server_time: stamp() }, id);
      return;
    case 'subscribe':
      if (viewers === undefined) {
        tell(socket, 'error', { code: 'forbidden', message: 'You may have no view.', retryable: false }, id);
        return;
      }
      viewers.add(socket);
      tell(socket, 'subscribed', { subscription: VIEW, epoch: 'e1', seq: 0 }, id);
      return;
    case 'update_subscription':
      tell(socket, 'subscription.updated', { subscription: VIEW, epoch: 'e1', seq: 0 }, id);
      return;
    case 'join_room':
      if (payload['positions'] === false) listeners.delete(socket);
      else listeners.add(socket);
      tell(socket, 'room.joined', { room: payload['room'], epoch: 'e1', seq: 0 }, id);
      return;
    case 'get_connection_stats': {
      const stats = {
        client_id: 'c1',
        since: stamp(),
        received: 1,
        sent: 1,
        positions_delivered: 71_300,
        positions_dropped: 1_204,
        queued_bytes: 0,
        age_ms: { p50: 6, p99: 31, max: 78 },
        added_age_ms: { p50: 4, p99: 12, max: 14 },
        subscriptions: [],
      };
      tell(socket, 'system.connection_stats', stats, id);
      return;
    }
    case 'get_active_devices': {
      const wanted = (payload['status'] as string[] | undefined) ?? ['connected', 'stale'];
      const found = [...hall.devices.values()].filter(({ status }) => wanted.includes(status));
      const after = payload['after'] === undefined ? 0 : Number(payload['after']);
      const devices = found.slice(after, after + 1_000);
      const next = after + 1_000 < found.length ? { next: String(after + 1_000) } : {};
      tell(socket, 'uwb.device_list', { devices, total: found.length, ...next }, id);
      return;
    }
    case 'get_location_history': {
      const device = hall.devices.get(String(payload['device_id']));
      const now = Date.now();
      const history = Array.from({ length: Number(payload['limit'] ?? 100) }, (_, index) => ({
        timestamp: stamp(now - index * 500),
        received_at: stamp(now - index * 500 + 20),
        location: { x: 10 + Math.sin(index / 9) * 4, y: 12 + Math.cos(index / 9) * 4, z: 1.1 },
      }));
      tell(
        socket,
        'uwb.location_history',
        {
          device_id: device?.id ?? '',
          history,
          start_time: history.at(-1)?.timestamp,
          end_time: history[0]?.timestamp,
        },
        id,
      );
      return;
    }
    case 'update_device': {
      const device = hall.devices.get(String(payload['device_id']));
      if (device === undefined || !roles.permissions.includes('devices.write')) {
        tell(
          socket,
          'error',
          { code: 'forbidden', message: 'This role may not change devices.', retryable: false },
          id,
        );
        return;
      }
      const { name, kind } = payload as { name?: string; kind?: typeof device.kind };
      if (name !== undefined) device.name = name;
      if (kind !== undefined) device.kind = kind;
      tell(socket, 'device.updated', { device }, id);
      return;
    }
    case 'remove_device': {
      const gone = String(payload['device_id']);
      if (!roles.permissions.includes('devices.write') || !hall.remove(gone)) {
        tell(
          socket,
          'error',
          { code: 'forbidden', message: 'This role may not remove devices.', retryable: false },
          id,
        );
        return;
      }
      tell(socket, 'device.removed', { device_id: gone }, id);
      say(envelope('device.removed', { device_id: gone }));
      return;
    }
    case 'register_device':
      tell(
        socket,
        'error',
        {
          code: 'forbidden',
          message: 'The role viewer may not register devices.',
          retryable: false,
          details: { permission: 'devices.register' },
        },
        id,
      );
      return;
    default:
      tell(
        socket,
        'error',
        { code: 'unknown_type', message: `There is no message of type "${String(type)}".`, retryable: false },
        id,
      );
  }
}

interface Schemas {
  readonly $defs: Readonly<Record<string, { oneOf?: readonly { $ref: string }[]; properties?: { payload?: object } }>>;
}

/** The published schemas, as the server gives them: the list of requests, or the shape of one payload. */
async function schema(name: string): Promise<unknown> {
  const file = join(import.meta.dirname, '../../schema/anita.v1.schema.json');
  const { $defs } = JSON.parse(await readFile(file, 'utf8')) as Schemas;
  const types = ($defs['ClientMessage']?.oneOf ?? []).map(({ $ref }) => $ref.replace('#/$defs/', ''));
  if (name === '') return { requests: types.map((type) => ({ type, schema: `/schema/${type}.json` })), messages: [] };
  const type = name.replace(/\.json$/, '');
  const payload = $defs[type]?.properties?.payload;
  return types.includes(type) && payload !== undefined ? { ...payload, $defs } : undefined;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  root: string | undefined,
  roles: Roles,
  isSignedIn: () => boolean,
  signIn: () => void,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://mock').pathname;
  const json = (status: number, body: unknown): void => {
    const type = status < 400 ? 'application/json' : 'application/problem+json';
    response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body));
  };
  if (path === '/api/v1/session') {
    if (request.method === 'POST') {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { token } = JSON.parse(Buffer.concat(chunks).toString()) as { token?: string };
      if (token !== TOKEN) {
        json(401, {
          type: 'about:blank',
          title: 'Unauthorized',
          status: 401,
          code: 'invalid_token',
          detail: 'The signature of the token does not fit.',
          remedy: 'Get a new token for this server; check issuer, audience and key.',
        });
        return;
      }
      signIn();
      response.writeHead(204, { 'set-cookie': `${COOKIE}; HttpOnly; SameSite=Strict; Path=/` }).end();
    } else if (request.method === 'DELETE') {
      response.writeHead(204, { 'set-cookie': `${COOKIE}; Max-Age=0; Path=/` }).end();
    } else if (isSignedIn()) {
      json(200, { user_id: 'alice', ...roles, expires_at: inOneHour() });
    } else {
      json(401, { title: 'Unauthorized', status: 401, code: 'unauthenticated', detail: 'There is no session.' });
    }
    return;
  }
  if (path === '/api/v1/page') {
    json(200, { version: '0.1.0', site: SITE.name, sign_in: [{ method: 'token' }] });
    return;
  }
  if (path.startsWith('/schema/')) {
    const found = await schema(path.slice('/schema/'.length));
    json(found === undefined ? 404 : 200, found ?? { title: 'Not found', status: 404, code: 'not_found' });
    return;
  }
  if (path === '/api/v1/site') {
    json(200, SITE);
    return;
  }
  if (root === undefined) {
    json(404, { title: 'Not found', status: 404, code: 'not_found' });
    return;
  }
  const file = join(root, normalize(path === '/' ? '/index.html' : path));
  try {
    const body = await readFile(file);
    response
      .writeHead(200, {
        'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
        'content-security-policy': CSP,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      })
      .end(body);
  } catch {
    response.writeHead(404).end();
  }
}
