import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type ConsoleMessage, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { makeServer, missingProgram, type Server } from '../src/anita.ts';
import { CHROMIUM, FLAGS, missingBrowser, skipOrFail } from '../src/browser.ts';
import { comeBack, leaveAndReturn, live, ROUNDS } from '../src/page.ts';
import { example } from '../src/runtimes/readme.ts';
import { startReporter, type Reporter } from '../src/runtimes/reporter.ts';
import { startSite, type Site } from '../src/runtimes/site.ts';

/** The built client in workers of a browser, and in a page that goes to the back/forward cache. */

const missing = skipOrFail(missingBrowser() ?? missingProgram());
const PATIENCE = { timeout: 60_000 };

/** What each worker says goes to the console, one JSON a line. */
const WORKERS = `<!doctype html><title>workers</title>
<script type="module">
  const told = ({ data }) => console.log(JSON.stringify(data));
  const options = JSON.parse(decodeURIComponent(location.hash.slice(1)));
  if (options.kind === 'dedicated') {
    const worker = new Worker('/dedicated.mjs', { type: 'module' });
    worker.onmessage = told;
    worker.postMessage(options);
  } else {
    const { port } = new SharedWorker('/shared.mjs', { type: 'module' });
    port.onmessage = told;
    port.postMessage(options);
  }
</script>`;

const EXAMPLE = `<!doctype html><title>the README</title>
<script type="module">
  new Worker('/example.mjs' + location.hash, { type: 'module' }).onmessage = ({ data }) => {
    console.log(JSON.stringify({ id: data.device_id, x: data.location.x }));
  };
</script>`;

/** The example of the README, with what an application knows. */
const workerOf = (url: string): string =>
  `const token = await (await fetch('/token?example')).text();\n${example('worker')}`
    .replace("'@anita/client'", "'/sdk/anita.js'")
    .replace('wss://plant.example/ws/uwb', url);

/** A page of an application, and another one to go to. */
const KEPT = `<!doctype html><title>kept</title>
<script type="module">
  import { AnitaClient, rooms, subscribe } from '/sdk/anita.js';
  const say = (what) => console.log(JSON.stringify(what));
  const options = JSON.parse(decodeURIComponent(location.hash.slice(1)));
  const anita = new AnitaClient(options.url, {
    token: async ({ reason, signal }) => (await fetch('/token?' + reason, { signal })).text(),
  });
  for (const type of ['pagehide', 'pageshow']) {
    addEventListener(type, ({ persisted }) => say({ [type]: persisted }));
  }
  anita.on('state', (state) => say({ state }));
  anita.on('close', ({ code, reason, willReconnect }) => say({ code, reason, willReconnect }));
  anita.on('error', ({ code }) => say({ error: code }));
  anita.on('sent', (text) => say({ sent: JSON.parse(text) }));
  anita.on('room.message', ({ data }) => say({ heard: data }));
  anita.on('room.joined', ({ room, recovered }) => say({ joined: room, recovered }));
  rooms(anita).on('resync', (resync) => say({ resync }));
  const view = subscribe(anita, { lane: 'every' });
  view.on('subscribed', ({ recovered }) => say({ subscribed: true, recovered }));
  view.on('gap', (gap) => say({ gap }));
  view.on('position', (positions) => positions.forEach(({ x }) => say({ x })));
  await anita.connect();
  await rooms(anita).join('hall');
</script>`;

describe.skipIf(missing)('the client in a browser', () => {
  let home: string;
  let browser: Browser;
  let site: Site;
  let server: Server;
  let reporter: Reporter;
  let page: Page;
  let told: Record<string, unknown>[] = [];

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'anita-runtimes-'));
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: FLAGS,
      // The cache is what is tested.
      ignoreDefaultArgs: ['--disable-back-forward-cache'],
      env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
    });
    let token = '';
    const pages: Record<string, string> = {
      '/workers': WORKERS,
      '/kept': KEPT,
      '/example': EXAMPLE,
      '/elsewhere': '<!doctype html><title>elsewhere</title>',
    };
    site = await startSite(() => Promise.resolve(token), pages);
    // Attempts and connections are counted: none is lost because a machine stood still.
    server = await makeServer('', () => `allowed_origins = ["${site.origin}"]`, undefined, undefined, 25);
    pages['/example.mjs'] = workerOf(server.url('/ws/uwb'));
    await server.start();
    token = await server.token('viewer', '--ttl', '1h');
    reporter = await startReporter(server);
  });
  afterAll(async () => {
    reporter.close();
    await site.close();
    await server.remove();
    await browser.close();
    rmSync(home, { recursive: true, force: true });
  });
  afterEach(() => page.close());

  async function open(address: string): Promise<void> {
    page = await browser.newPage();
    told = [];
    page.on('console', (message: ConsoleMessage) => {
      if (message.text().startsWith('{')) told.push(JSON.parse(message.text()) as Record<string, unknown>);
    });
    await page.goto(address);
  }
  const at = (path: string, options: object): string =>
    `${site.origin}${path}#${encodeURIComponent(JSON.stringify(options))}`;
  const tells = (what: object): Promise<void> => expect.poll(() => told, PATIENCE).toContainEqual(what);

  async function connections(): Promise<number> {
    const text = await (await fetch(`${server.http}metrics`)).text();
    return Number(/^anita_connections (\d+)$/m.exec(text)?.[1]);
  }

  it.each(['dedicated', 'shared'])('runs in a %s worker', async (kind) => {
    await reporter.walkTo(1);
    await open(at('/workers', { kind, url: server.url('/ws'), tokenUrl: `${site.origin}/token`, lastX: 4 }));
    await tells({ x: 1 });
    await reporter.walkTo(2);
    await tells({ x: 2 });
    await server.kill();
    await tells({ state: 'waiting' });
    await server.start();
    await reporter.walkTo(3);
    await tells({ x: 3 });
    await reporter.walkTo(4);
    await tells({ reconnects: 1, invalid: 0, unknown: 0 });
    expect(told.filter(({ state }) => state === 'online')).toHaveLength(2);
    await expect.poll(connections, PATIENCE).toBe(1);
  });

  it('runs in a worker, by the README', async () => {
    await open(`${site.origin}/example`);
    await expect.poll(connections, PATIENCE).toBe(2);
    // It is counted before it has shown its token: what moves until then it does not hear.
    await expect
      .poll(async () => {
        await reporter.walkTo(21);
        return told;
      }, PATIENCE)
      .toContainEqual({ id: 'walker', x: 21 });
  });

  it('is put away with its page, and comes back with it, without a loss', async () => {
    let asks = 0;
    const isKept = async (): Promise<boolean> => {
      await open(at('/kept', { url: server.url('/ws') }));
      await tells({ joined: 'hall' });
      await tells({ subscribed: true });
      await reporter.walkTo(11);
      await tells({ x: 11 });
      await reporter.tell({ n: 1 });
      await tells({ heard: { n: 1 } });
      asks = site.asks.length;
      return leaveAndReturn(page, `${site.origin}/elsewhere`, async () => {
        await expect.poll(connections, PATIENCE).toBe(1);
        // What happens meanwhile is told later.
        await reporter.walkTo(12);
        await reporter.walkTo(13);
        await reporter.tell({ n: 2 });
      });
    };
    for (let round = 1; !(await isKept()) && round < ROUNDS; round += 1) await page.close();

    // A page that comes from the cache does not load.
    await tells({ pageshow: true });
    // The client closed its socket itself, as the page went.
    await tells({ pagehide: true });
    await tells({ code: 1000, reason: 'page_hidden', willReconnect: true });
    const before = told.findIndex(({ reason }) => reason === 'page_hidden');
    await tells({ x: 13 });
    await tells({ heard: { n: 2 } });
    await tells({ subscribed: true, recovered: true });
    await expect.poll(() => told.some(({ resync }) => resync !== undefined), PATIENCE).toBe(true);
    const after = told.slice(before);
    const sent = after.flatMap(({ sent }) => (sent === undefined ? [] : [sent as { type: string; payload: object }]));
    const since = { epoch: expect.any(String) as string, seq: expect.any(Number) as number };
    expect(sent.find(({ type }) => type === 'subscribe')?.payload).toMatchObject({ lane: 'every', since });
    expect(sent.find(({ type }) => type === 'join_room')?.payload).toMatchObject({ room: 'hall', since });
    expect(after).toContainEqual({ subscribed: true, recovered: true });
    expect(after).toContainEqual({ resync: { isWhole: true, lost: [] } });
    // Each fix once, in order, and no gap, no error, no second attempt.
    expect(after.flatMap(({ x }) => (x === undefined ? [] : [x]))).toEqual([12, 13]);
    expect(after.flatMap(({ state }) => (state === undefined ? [] : [state]))).toEqual([
      'connecting',
      'authenticating',
      'online',
    ]);
    expect(told.filter(({ error, gap }) => error !== undefined || gap !== undefined)).toEqual([]);
    expect(site.asks.slice(asks)).toEqual(['connect']);
    expect(await connections()).toBe(2);
    await reporter.walkTo(14);
    await tells({ x: 14 });
  });

  it('the dashboard comes back from the back/forward cache, live', async () => {
    await open(`${server.http}#token=${await server.token('viewer', '--ttl', '1h')}`);
    await live(page);
    await comeBack(page, `${site.origin}/elsewhere`, () => expect.poll(connections, PATIENCE).toBe(1));
    await live(page);
    await expect.poll(connections, PATIENCE).toBe(2);
  });
});
