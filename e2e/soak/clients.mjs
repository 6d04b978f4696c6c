// The client in a Node of its own, started with `--expose-gc` by the soak: several of them, with everything that listens.
import process from 'node:process';
import { AnitaClient, rooms, stream, subscribe } from '@anita/client';
import { DeviceStore } from '@anita/client/store';
import { WebSocket } from 'ws';

const [, , url, token, count] = process.argv;
let told = 0;
let looped = 0;

async function follow(anita) {
  for await (const { location } of stream(anita, 'uwb.location', { room: 'uwb', policy: 'latest' }))
    looped += location ? 1 : 0;
}

const clients = Array.from({ length: Number(count) }, () => {
  const anita = new AnitaClient(url, { WebSocket, token: async () => token, backoff: { baseMs: 100, capMs: 1_000 } });
  const devices = new DeviceStore(anita);
  devices.on('change', (ids) => (told += ids.size));
  subscribe(anita, { mode: 'columns', maxRateHz: 5 }).on('position', (positions) => (told += positions.length));
  rooms(anita).on('resync', () => told++);
  void anita.connect();
  void follow(anita);
  return { anita, devices };
});

function sample() {
  globalThis.gc();
  const resources = process.getActiveResourcesInfo();
  const of = (name) => resources.filter((each) => each === name).length;
  return {
    online: clients.filter(({ anita }) => anita.state === 'online').length,
    reconnects: clients.map(({ anita }) => anita.stats().reconnects),
    invalid: clients.reduce((sum, { anita }) => sum + anita.stats().invalid, 0),
    devices: Math.min(...clients.map(({ devices }) => devices.size)),
    told,
    looped,
    heapBytes: process.memoryUsage().heapUsed,
    handles: resources.length,
    sockets: of('TCPSocketWrap'),
    timers: of('Timeout'),
  };
}

process.on('message', (word) => {
  if (word === 'sample') {
    // What a message of a moment ago left behind is let go of first.
    globalThis.gc();
    setImmediate(() => process.send(sample()));
    return;
  }
  for (const { anita } of clients) anita.close();
  process.disconnect();
});
