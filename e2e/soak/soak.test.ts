import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CDPSession, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeServer, missingProgram, type Server } from '../src/anita.ts';
import { missingBrowser, openChrome, openPage, skipOrFail, type Chrome, type Watched } from '../src/browser.ts';
import { live, row } from '../src/page.ts';
import { course, line, plan, type Bound } from './plan.ts';

/** The dashboard in a browser and the client in Node, for a while, with the server killed again and again. */

const { minutes, kills } = plan();
const CLIENTS = 5;
const DEVICES = 30;
const REPORT_EVERY_MS = 200;
/** How long the server stays away, from and to. */
const AWAY_MS = [200, 1_500] as const;
/** A pause between two attempts is 20 s at most; the machine may be busy. */
const BACK_MS_MAX = 60_000;
const PATIENCE = { timeout: BACK_MS_MAX, interval: 100 };
/** Longer than the five seconds for which a client that is back has a timer: then the connection is a stable one. */
const STABLE_MS = 8_000;

interface OfPage {
  readonly heapBytes: number;
  readonly nodes: number;
  readonly listeners: number;
}

interface OfNode {
  readonly online: number;
  /** Of each client. */
  readonly reconnects: readonly number[];
  readonly invalid: number;
  readonly devices: number;
  readonly told: number;
  readonly looped: number;
  readonly heapBytes: number;
  readonly handles: number;
  readonly sockets: number;
  readonly timers: number;
}

interface Sample {
  readonly page: OfPage;
  readonly node: OfNode;
  /** As the server counts them. */
  readonly tcp: number;
}

const MB = 1e6;
// In half a minute much is done for the first time: only ten minutes show what grows slowly.
const isLong = minutes >= 5;
const heap: Bound = isLong ? { share: 0.1, more: 0.5 } : { share: 0.3, more: 3 };
const few: Bound = isLong ? { share: 0.02, more: 10 } : { share: 1, more: 100 };
const figures: readonly (readonly [name: string, of: (sample: Sample) => number, bound: Bound])[] = [
  ['dashboard: heap after collection, MB', ({ page }) => page.heapBytes / MB, heap],
  ['dashboard: DOM nodes', ({ page }) => page.nodes, few],
  ['dashboard: event listeners', ({ page }) => page.listeners, few],
  ['client in Node: heap after collection, MB', ({ node }) => node.heapBytes / MB, heap],
  ['client in Node: active handles', ({ node }) => node.handles, { share: 0, more: 2 }],
  ['client in Node: timers', ({ node }) => node.timers, { share: 0, more: 2 }],
  ['server: TCP connections', ({ tcp }) => tcp, { share: 0, more: 2 }],
];

/** All samples, for whoever looks for the reason. */
const samplesOf = (name: string, samples: readonly number[]): string =>
  `${name}: ${samples.map((sample) => String(Math.round(sample * 100) / 100)).join(' ')}`;

const missing = skipOrFail(missingBrowser() ?? missingProgram());

describe.skipIf(missing)(`${minutes} minutes with the server killed ${kills} times`, () => {
  let server: Server;
  let chrome: Chrome;
  let watched: Watched;
  let page: Page;
  let inspector: CDPSession;
  let clients: ChildProcess;
  let publisher = '';
  let isOver = false;
  let feeding: Promise<void> | undefined;

  beforeAll(async () => {
    server = await makeServer('', undefined, undefined, undefined, 15);
    await server.start();
    publisher = await server.token('publisher', '--ttl', '8h');
    feeding = feed();
    const viewer = await server.token('viewer', '--ttl', '8h');
    const url = `${server.http.replace('http', 'ws')}ws`;
    clients = fork(join(import.meta.dirname, 'clients.mjs'), [url, viewer, String(CLIENTS)], {
      execArgv: ['--expose-gc'],
    });
    chrome = await openChrome();
    watched = await openPage(chrome, server.http);
    ({ page } = watched);
    inspector = await page.context().newCDPSession(page);
    for (const domain of ['HeapProfiler', 'Performance', 'Runtime'] as const) await inspector.send(`${domain}.enable`);
    await page.goto(`${server.http}#token=${await server.token('operator', '--ttl', '8h')}`);
    await live(page);
    await row(page, 'tag-1').click();
  });

  afterAll(async () => {
    isOver = true;
    await feeding;
    clients.kill('SIGKILL');
    await watched.close();
    await chrome.close();
    await server.remove();
  });

  /** Devices that move, whenever there is a server. */
  async function feed(): Promise<void> {
    for (let turn = 0; !isOver; turn++) {
      const locations = Array.from({ length: DEVICES }, (_, index) => ({
        device_id: `tag-${index}`,
        location: { x: index + Math.sin(turn / 10), y: Math.cos(turn / 10), z: 1 },
      }));
      const headers = { authorization: `Bearer ${publisher}`, 'content-type': 'application/json' };
      const report = { method: 'POST', headers, body: JSON.stringify(locations) };
      // Between a kill and a start there is nobody; what else goes wrong shows as devices that stand still.
      await fetch(`${server.http}api/v1/locations`, report).then(
        (answer) => answer.arrayBuffer(),
        () => undefined,
      );
      await delay(REPORT_EVERY_MS);
    }
  }

  async function ofNode(): Promise<OfNode> {
    const answer = once(clients, 'message', { signal: AbortSignal.timeout(BACK_MS_MAX) });
    clients.send('sample');
    return ((await answer) as [OfNode])[0];
  }

  /** The least that the clients hold in some seconds. */
  async function least(): Promise<Pick<OfNode, 'handles' | 'timers'>> {
    let held = { handles: Infinity, timers: Infinity };
    for (const end = Date.now() + STABLE_MS; ; await delay(500)) {
      const isLast = Date.now() > end;
      const { handles, timers } = await ofNode();
      held = { handles: Math.min(held.handles, handles), timers: Math.min(held.timers, timers) };
      if (isLast) return held;
    }
  }

  async function ofPage(): Promise<OfPage> {
    // The log keeps the newest 2,000 entries; until it is full it grows, and that is not what is looked for.
    await page.getByRole('button', { name: 'Clear', exact: true }).click();
    await inspector.send('HeapProfiler.collectGarbage');
    await inspector.send('HeapProfiler.collectGarbage');
    const { usedSize } = await inspector.send('Runtime.getHeapUsage');
    const { metrics } = await inspector.send('Performance.getMetrics');
    const of = (name: string): number => metrics.find((metric) => metric.name === name)?.value ?? NaN;
    return { heapBytes: usedSize, nodes: of('Nodes'), listeners: of('JSEventListeners') };
  }

  async function ofServer(name: string): Promise<number> {
    const text = await (await fetch(`${server.http}metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  }

  /** Everybody is back, each with one more connection than it had (on a busy machine perhaps two), and hears of what moves. */
  async function back(reconnects: readonly number[]): Promise<void> {
    await live(page);
    await expect.poll(ofNode, PATIENCE).toMatchObject({ online: CLIENTS, devices: DEVICES, sockets: CLIENTS });
    const now = await ofNode();
    expect(reconnects.filter((before, index) => (now.reconnects[index] ?? 0) <= before)).toEqual([]);
    await expect.poll(() => ofServer('anita_connections'), PATIENCE).toBe(CLIENTS + 1);
    const { told, looped } = await ofNode();
    await expect.poll(async () => (await ofNode()).told, PATIENCE).toBeGreaterThan(told);
    await expect.poll(async () => (await ofNode()).looped, PATIENCE).toBeGreaterThan(looped);
    const shown = (): Promise<string[]> => page.locator('[data-axis]').allInnerTexts();
    const before = await shown();
    await expect.poll(shown, PATIENCE).not.toEqual(before);
  }

  it('leaves nothing behind', { timeout: minutes * 60_000 + 900_000 }, async () => {
    await back(Array.from({ length: CLIENTS }, () => -1));
    const samples: Sample[] = [];
    const startedAt = Date.now();
    const everyMs = (minutes * 60_000) / kills;
    for (let kill = 1; kill <= kills; kill++) {
      const { reconnects } = await ofNode();
      await server.kill();
      await page.locator('.link:not([data-state=online])').waitFor(PATIENCE);
      await expect.poll(async () => (await ofNode()).online, PATIENCE).toBe(0);
      const [from, to] = AWAY_MS;
      await delay(from + ((to - from) * kill) / kills);
      await server.start();
      await back(reconnects);
      const held = await least();
      // The pace of the kills, and time for what is kept for a while to be let go of.
      await delay(Math.max(0, startedAt + kill * everyMs - Date.now()));
      const [ofThePage, node] = [await ofPage(), await ofNode()];
      await expect.poll(() => ofServer('anita_connections'), PATIENCE).toBe(CLIENTS + 1);
      samples.push({ page: ofThePage, node: { ...node, ...held }, tcp: await ofServer('anita_tcp_connections') });
    }
    const courses = figures.map(([name, of, bound]) => course(name, samples.map(of), bound));
    console.log([...courses.map(line), ...figures.map(([name, of]) => samplesOf(name, samples.map(of)))].join('\n'));
    expect(courses.filter(({ isFlat }) => !isFlat)).toEqual([]);
    expect(watched.faults).toEqual([]);
    const { invalid } = await ofNode();
    expect(invalid).toBe(0);

    // And nothing keeps a Node alive whose clients are closed.
    const ended = once(clients, 'exit', { signal: AbortSignal.timeout(BACK_MS_MAX) });
    clients.send('close');
    expect(await ended).toEqual([0, null]);
    await expect.poll(() => ofServer('anita_connections'), PATIENCE).toBe(1);
  });
});
