// The conversations that every client plays against the real program: conformance/client/README.md says what a line means.
// ANITA_BIN=…/anita npm test -- conversations
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { AnitaClient, stream } from '../src/index.js';
import { DeviceStore } from '../src/store.js';
import { Conversation } from './conversation.js';
import { Program } from './program.js';

const folder = fileURLToPath(new URL('../../conformance/client/', import.meta.url));
const program = process.env['ANITA_BIN'];
const scripts = readdirSync(folder).filter((name) => name.endsWith('.script'));

test('there are conversations', () => {
  expect(scripts.length).toBeGreaterThan(10);
});

describe.skipIf(program === undefined)('the conversation', () => {
  test.concurrent.each(scripts)('%s', { timeout: 240_000 }, async (name) => {
    const conversation = await Conversation.begin(program!);
    try {
      for (const [index, line] of readFileSync(folder + name, 'utf8')
        .split('\n')
        .entries()) {
        const sentence = line.replace(/#.*$/, '').trim();
        if (sentence === '') continue;
        await conversation.play(sentence).catch((error: unknown) => {
          throw new Error(
            `${name}:${index + 1}: ${sentence}\n${error instanceof Error ? error.message : String(error)}`,
          );
        });
      }
    } finally {
      await conversation.end();
    }
  });
});

describe.skipIf(program === undefined)('a map of all devices, at the real server', () => {
  test.each(['/ws', '/ws/uwb'])(
    'is live on %s, also after a stream has ended and the server came back',
    async (path) => {
      const server = await Program.make(program!);
      onTestFinished(() => server.remove());
      await server.start();
      const token = (): Promise<string> => server.token('alice', 'viewer');
      const anita = new AnitaClient(server.ws + path, { WebSocket, token, network: null, backoff: { baseMs: 100 } });
      onTestFinished(() => anita.close());
      const devices = new DeviceStore(anita);
      await anita.connect();

      const move = async (x: number): Promise<void> => {
        await server.post('/api/v1/locations', 'publisher', { device_id: 'a', location: { x, y: 0, z: 0 } });
      };
      const isAt = async (x: number): Promise<void> => {
        await vi.waitFor(() => expect(devices.get('a')?.location?.x).toBe(x), { timeout: 20_000 });
      };
      const locations = stream(anita, 'uwb.location', { room: 'uwb' });
      const first = locations.next();
      await move(1);
      await first;
      await locations.return();
      for (const x of [2, 3]) await move(x);
      await isAt(3);
      await server.stop('SIGKILL');
      await server.start();
      await vi.waitFor(() => expect(anita.stats().reconnects).toBe(1), { timeout: 20_000 });
      await move(4);
      await isAt(4);

      devices.close();
      await anita.request('ping', {});
      const { received } = anita.stats();
      await move(5);
      await anita.request('ping', {});
      if (path === '/ws') expect(anita.stats().received).toBe(received + 1);
      expect(devices.get('a')?.location?.x).toBe(4);
    },
  );
});
