// The client against a real server: ANITA_TEST_URL=ws(s)://…/ws/uwb ANITA_TEST_TOKEN=… npm test -- live
// The token needs what the role `viewer` has.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { explain } from '../src/explain.js';
import { AnitaClient, rooms, subscribe, type AnitaError, type ClientOptions } from '../src/index.js';
import { DeviceStore } from '../src/store.js';

const url = process.env['ANITA_TEST_URL'];
const token = process.env['ANITA_TEST_TOKEN'];

describe.skipIf(!url || !token)('a real server', () => {
  const clients: AnitaClient[] = [];
  afterEach(() => {
    for (const anita of clients.splice(0)) anita.close();
  });

  /** Sockets that a test can cut. */
  const sockets: WebSocket[] = [];
  class CuttableSocket extends WebSocket {
    constructor(address: string, protocols: string) {
      super(address, protocols);
      sockets.push(this);
    }
  }

  function make(options: ClientOptions = {}) {
    const anita = new AnitaClient(url!, {
      WebSocket: CuttableSocket,
      token: token!,
      backoff: { baseMs: 100 },
      ...options,
    });
    const errors: AnitaError[] = [];
    anita.on('error', (error) => errors.push(error));
    clients.push(anita);
    return { anita, errors };
  }

  test('connects, and what it hears has the shapes of the protocol', async () => {
    const { anita, errors } = make();
    const hello = await anita.connect();
    expect(hello).toMatchObject({ status: 'authenticated', protocol: 'anita.v1' });
    expect(await anita.request('ping', {})).toEqual({ server_time: expect.stringMatching(/^\d{4}-.*\.\d{6}Z$/) });
    const list = await anita.request('get_active_devices', {});
    expect(list.total).toBeGreaterThanOrEqual(list.devices.length);
    expect(errors).toEqual([]);
    expect(anita.stats()).toMatchObject({ invalid: 0, unknown: 0 });
  });

  test('keeps a map of all devices', async () => {
    const { anita, errors } = make();
    const devices = new DeviceStore(anita);
    await anita.connect();
    const { total } = await anita.request('get_active_devices', {});
    await vi.waitFor(() => expect(devices.size).toBeGreaterThanOrEqual(total), { timeout: 20_000 });
    expect(errors).toEqual([]);
  });

  test('keeps a view, changes it where it is, and asks for it again when the connection was cut', async () => {
    const { anita, errors } = make();
    await anita.connect();
    const area = { box: { min_x: -1e6, min_y: -1e6, max_x: 1e6, max_y: 1e6 } };
    const view = subscribe(anita, { view: { area }, mode: 'columns', maxRateHz: 5 });
    const snapshots: unknown[] = [];
    view.on('snapshot', (devices) => snapshots.push([...devices.keys()]));
    await vi.waitFor(() => expect(snapshots).toHaveLength(1), { timeout: 20_000 });
    await view.update({ view: { area: { circle: { x: 0, y: 0, radius_m: 5 } } } });
    const { subscriptions } = await anita.request('get_connection_stats', {});
    expect(subscriptions).toMatchObject([{ subscription: view.id, mode: 'columns', max_rate_hz: 5 }]);
    sockets.at(-1)!.terminate();
    await vi.waitFor(() => expect(snapshots).toHaveLength(2), { timeout: 20_000 });
    await view.close();
    expect((await anita.request('get_connection_stats', {})).subscriptions).toEqual([]);
    expect(errors.map(({ code }) => code)).toEqual(['connection_lost']);
  });

  test('joins a room, and leaves it', async () => {
    const { anita } = make();
    await anita.connect();
    expect(await rooms(anita).join('uwb')).toMatchObject({ room: 'uwb', epoch: expect.any(String) });
    expect(await rooms(anita).leave('uwb')).toEqual({ room: 'uwb' });
  });

  test('comes back when the connection is cut, and is in its room again', async () => {
    const { anita, errors } = make();
    await anita.connect();
    await rooms(anita).join('uwb');
    const joined = new Promise((resolve) => anita.on('room.joined', resolve));
    sockets.at(-1)!.terminate();
    expect(await joined).toMatchObject({ room: 'uwb' });
    expect(anita.state).toBe('online');
    expect(anita.stats().reconnects).toBe(1);
    expect(errors.map(({ code }) => code)).toEqual(['connection_lost']);
    await anita.request('ping', {});
  });

  test('hears of a refused request with its code and remedy', async () => {
    const { anita } = make();
    await anita.connect();
    const error = await anita
      .request('get_device_location', { device_id: 'no-such-device' })
      .catch((it: unknown) => it);
    expect(error).toMatchObject({ name: 'AnitaError', kind: 'server', code: 'not_found', retryable: false });
    expect(explain(error as AnitaError).remedy).not.toBe('');
  });

  test('a token that is none is final', async () => {
    const { anita } = make({ token: 'not.a.token' });
    await expect(anita.connect()).rejects.toMatchObject({ kind: 'auth' });
    expect(anita.state).toBe('failed');
  });

  test('what the server cannot read, it says so, and goes on', async () => {
    const { anita, errors } = make();
    await anita.connect();
    anita.sendText('not json');
    anita.sendText('{"type":"no_such_request"}');
    await vi.waitFor(() => expect(errors.map(({ code }) => code)).toEqual(['invalid_json', 'unknown_type']), {
      timeout: 20_000,
    });
    await anita.request('ping', {});
  });
});
