// The examples of the README: all compile, and those marked `run` do what they say against a server without a network.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { FakeServer } from '../src/testing.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = fileURLToPath(new URL('../../build/readme/', import.meta.url));
const fences = [...readFileSync(`${root}README.md`, 'utf8').matchAll(/^```(js|ts|tsx)( .*)?\n([\s\S]*?)^```$/gm)].map(
  ([, language, how, text = ''], index) => ({
    name: `example-${index + 1}.${language === 'tsx' ? 'tsx' : 'ts'}`,
    // The others run in e2e/tests/runtimes*.test.ts, against the real program.
    isRun: how === ' run',
    text,
    title: text.split('\n')[0] ?? '',
  }),
);

/** A compiler that ran before, or another test, may have the machine. */
const BUSY = { timeout: 40_000 };

/** What the examples take for granted. */
const ground = `
import type * as sdk from '@anita/client';
import type { DeviceStore } from '@anita/client/store';
declare global {
  const anita: sdk.AnitaClient;
  const devices: DeviceStore;
  const url: string;
  const token: string;
  const signal: AbortSignal;
  const rooms: typeof sdk.rooms;
  const subscribe: typeof sdk.subscribe;
  const debug: typeof sdk.debug;
  const explain: typeof import('@anita/client/explain').explain;
  const AnitaClient: typeof sdk.AnitaClient;
  function draw(...what: unknown[]): boolean;
  function drawPast(...what: unknown[]): void;
  function redraw(devices: ReadonlyMap<string, sdk.Device>): void;
  function add(device: sdk.Device): void;
  function remove(id: string): void;
  namespace NodeJS { interface ProcessEnv { ANITA_TOKEN?: string; ANITA_URL?: string } }
}
`;

beforeAll(() => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}ground.d.ts`, ground);
  for (const { name, text } of fences) writeFileSync(folder + name, `${text}\nexport {};\n`);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  vi.unstubAllGlobals();
});

describe('the examples of the README', () => {
  test('compile', { timeout: 180_000 }, () => {
    const { config } = ts.readConfigFile(`${root}tsconfig.json`, (path) => ts.sys.readFile(path)) as { config: object };
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
    const files = ['ground.d.ts', ...fences.map(({ name }) => name)].map((name) => folder + name);
    const program = ts.createProgram(files, { ...options, noEmit: true, noUnusedLocals: false });
    const faults = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
      const line = file && ts.getLineAndCharacterOfPosition(file, start ?? 0).line;
      return `${file?.fileName.replace(folder, '') ?? ''}:${String(line)} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    });
    expect(faults).toEqual([]);
    expect(fences.length).toBeGreaterThan(10);
  });

  test.each(fences.filter(({ isRun }) => isRun))('$title runs', { timeout: 30_000 }, async ({ name }) => {
    const device = { id: 'tag-1', kind: 'tag', status: 'connected', last_seen: null, location: null } as const;
    const server = new FakeServer()
      .welcomes()
      .answers('get_active_devices', 'uwb.device_list', { devices: [device], total: 1 })
      .answers('join_room', 'room.joined', ({ room }) => ({ room, epoch: 'e', seq: 1 }))
      .answers('leave_room', 'room.left', ({ room }) => ({ room }))
      .answers('subscribe', 'subscribed', { subscription: 's1', epoch: 'e', seq: 1 });
    const draw = vi.fn(() => true);
    const printed = vi.spyOn(console, 'log').mockReturnValue();
    for (const [key, value] of Object.entries({ WebSocket: server.WebSocket, draw, token: 'secret' })) {
      vi.stubGlobal(key, value);
    }
    const running = import(/* @vite-ignore */ folder + name);
    let isDone = false;
    void running.finally(() => (isDone = true));
    const place = { device_id: 'tag-1', location: { x: 1, y: 2, z: 0 }, timestamp: 't', received_at: 't' };
    // Something moves, in all ways that an example may listen to.
    await vi.waitFor(() => {
      for (const connection of server.connections) {
        connection.tell('uwb.location', place);
        connection.tell(
          'uwb.position_update',
          { positions: { 'tag-1': place.location }, timestamp: 't' },
          { subscription: 's1' },
        );
      }
      expect(isDone && draw.mock.calls.length + printed.mock.calls.length > 0).toBe(true);
    }, BUSY);
    await running;
    // Nothing of it stays: a client that is sent away for good has no timers.
    for (const connection of server.connections) connection.drop(4509);
    expect(printed.mock.calls.flat().join()).not.toContain('secret');
    printed.mockRestore();
  });
});
