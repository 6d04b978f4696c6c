import { act, type ReactNode } from 'react';
// React's own way to test without a document; there is another only for documents.
import { create, type ReactTestRenderer } from 'react-test-renderer';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AnitaClient } from '../src/index.js';
import { useClientState, useDevice, useDevices } from '../src/react.js';
import { DeviceStore, type Device } from '../src/store.js';
import { FakeServer } from '../src/testing.js';

let server: FakeServer;
let anita: AnitaClient;
let store: DeviceStore;
// eslint-disable-next-line @typescript-eslint/no-deprecated -- see above
let page: ReactTestRenderer;
const draws = { one: 0, all: 0 };

const device = (id: string): Device => ({ id, kind: 'tag', status: 'connected', last_seen: null, location: null });
/** A device moves: on `/ws`, who is not in the room is not told. */
const fix = (device_id: string, x: number): void => {
  const { last } = server;
  if (last.heard('join_room').length <= last.heard('leave_room').length) return;
  last.tell('uwb.location', {
    device_id,
    location: { x, y: 0, z: 0 },
    timestamp: `t${String(x).padStart(2, '0')}`,
    received_at: 't',
  });
};

function All(): ReactNode {
  draws.all++;
  return useDevices(store).map(({ id, location }) => `${id}:${String(location?.x)} `);
}
function One(): ReactNode {
  draws.one++;
  return <b>{useDevice(store, 'a')?.location?.x}</b>;
}
function Light(): ReactNode {
  return <i>{useClientState(anita)}</i>;
}

beforeEach(async () => {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  server = new FakeServer().welcomes();
  server
    .answers('get_active_devices', 'uwb.device_list', { devices: [device('a'), device('b')], total: 2 })
    .answers('join_room', 'room.joined', ({ room }) => ({ room, epoch: 'e', seq: 1 }))
    .answers('leave_room', 'room.left', ({ room }) => ({ room }));
  anita = new AnitaClient('wss://plant.test/ws', { WebSocket: server.WebSocket, network: null });
  store = new DeviceStore(anita);
  await act(async () => {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- see above
    page = create(
      <>
        <All />
        <One />
        <Light />
      </>,
    );
    await Promise.resolve();
  });
});
afterEach(() => {
  act(() => page.unmount());
  anita.close();
  vi.unstubAllGlobals();
});

const text = (): string => JSON.stringify(page.toJSON());

test('components follow the client and its devices, each what it uses', async () => {
  expect(text()).toContain('idle');
  await act(() => anita.connect());
  expect(text()).toContain('online');
  await act(() => vi.waitFor(() => expect(store.getSnapshot()).toHaveLength(2), { timeout: 20_000 }));
  expect(text()).toContain('a:undefined ');
  expect(store.getSnapshot()).toBe(store.getSnapshot());

  const before = { ...draws };
  await act(async () => {
    for (let x = 1; x <= 20; x++) fix('b', x);
    await Promise.resolve();
  });
  expect(text()).toContain('b:20 ');
  expect(draws).toEqual({ one: before.one, all: before.all + 1 });
  await act(async () => {
    fix('a', 7);
    await Promise.resolve();
  });
  expect(page.root.findByType('b').children).toEqual(['7']);
});

test('devices of a client of /ws move after a reconnect, too', async () => {
  await act(() => anita.connect());
  await act(async () => {
    fix('a', 1);
    await Promise.resolve();
  });
  expect(text()).toContain('a:1 ');
  await act(async () => {
    server.last.drop(1012);
    anita.retryNow();
    await vi.waitFor(() => expect(anita.state).toBe('online'), { timeout: 20_000 });
    await vi.waitFor(() => expect(server.last.heard('join_room')).toHaveLength(1), { timeout: 20_000 });
    fix('a', 2);
    await Promise.resolve();
  });
  expect(text()).toContain('a:2 ');
});

test('what is unmounted listens no more', async () => {
  await act(() => anita.connect());
  act(() => page.unmount());
  const { all } = draws;
  fix('a', 1);
  await Promise.resolve();
  expect(draws.all).toBe(all);
});
