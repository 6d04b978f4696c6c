import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { AnitaClient } from '@anita/client';
import { WebSocket } from 'ws';

import { missingProgram } from '../src/anita.ts';
import { missingBrowser, openChrome, openPage, skipOrFail, type Chrome, type Watched } from '../src/browser.ts';
import { openHall, type Hall } from '../src/hall.ts';
import { compose, lines, live, row } from '../src/page.ts';
import { colours, decode, encodeFew } from '../src/png.ts';

/**
 * Pictures of the real program, in `build/pictures` after each run. Those of `PUBLISHED` go into the documents:
 * `ANITA_PICTURES=docs/pictures npm test --workspace e2e -- pictures` makes them anew, few colours and small.
 */
const ROOT = join(import.meta.dirname, '../..');
const BUILD = join(ROOT, 'build/pictures');
const DOCUMENTS = process.env['ANITA_PICTURES'];
const PUBLISHED = [
  'map-light',
  'map-dark',
  'list-light',
  'device-light',
  'log-dark',
  'history-light',
  'sources-light',
  'map-phone',
] as const;
const BYTES_MAX = 200_000;

const KINDS: Readonly<Record<'light' | 'dark' | 'phone' | 'phone-dark', BrowserContextOptions>> = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  'phone-dark': { colorScheme: 'dark', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};
/** Who else is connected. */
const CLIENTS = [
  ['wall-display', 'Kiosk/2.1'],
  ['picking', 'PickApp/5.4 (Android)'],
  ['reports', 'python-websockets/15.0'],
] as const;

const iso = (ms: number): string => new Date(ms).toISOString();

const missing = skipOrFail(missingBrowser() ?? missingProgram());

describe.skipIf(missing)('pictures', () => {
  let chrome: Chrome;
  let hall: Hall;
  let watched: Watched | undefined;
  const clients: AnitaClient[] = [];

  beforeAll(async () => {
    mkdirSync(BUILD, { recursive: true });
    if (DOCUMENTS !== undefined) mkdirSync(resolve(ROOT, DOCUMENTS), { recursive: true });
    chrome = await openChrome();
    hall = await openHall({ tags: 28, minutes: 20 });
    await Promise.all(CLIENTS.map(([subject, program]) => connect(subject, program)));
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await chrome.close();
    await hall.remove();
  });
  afterEach(async () => {
    const faults = watched?.faults ?? [];
    await watched?.close();
    expect(faults).toEqual([]);
  });

  /** Another client, for the list of connections. It comes back whenever it was dropped. */
  async function connect(subject: string, program: string): Promise<void> {
    class Named extends WebSocket {
      constructor(address: string, protocols: string) {
        super(address, protocols, { headers: { 'user-agent': program } });
      }
    }
    const token = await hall.token('viewer', '--subject', subject);
    const client = new AnitaClient(hall.url('/ws/uwb'), { WebSocket: Named, token });
    clients.push(client);
    await client.connect();
  }

  /** Takes a picture, of a state that has settled, and looks whether there is something on it. */
  async function shot(page: Page, name: string): Promise<void> {
    await page.mouse.move(0, 0);
    const png = await page.screenshot({ animations: 'disabled', caret: 'hide' });
    writeFileSync(join(BUILD, `${name}.png`), png);
    const picture = decode(png);
    const size = page.viewportSize();
    expect([name, picture.width, picture.height]).toEqual([name, size?.width, size?.height]);
    const counts = [...colours(picture).values()].sort((one, other) => other - one);
    // Text and shapes have edges of many colours; a blank or half-drawn page is of one.
    expect([name, counts.length > 100]).toEqual([name, true]);
    expect((counts[0] ?? 0) / (picture.width * picture.height)).toBeLessThan(0.9);
    if (!PUBLISHED.some((one) => one === name)) return;
    const small = encodeFew(picture);
    expect([name, small.length < BYTES_MAX]).toEqual([name, true]);
    if (DOCUMENTS !== undefined) writeFileSync(resolve(ROOT, DOCUMENTS, `${name}.png`), small);
  }

  /** The id of the tag at the top of the list that is next to a place. */
  async function nearest([x, y]: readonly [number, number]): Promise<string> {
    const headers = { authorization: `Bearer ${await hall.token('viewer')}` };
    const answer = await fetch(`${hall.http}api/v1/devices?kinds=tag&limit=100`, { headers });
    const { devices } = (await answer.json()) as {
      devices: { id: string; name: string; location: { x: number; y: number } }[];
    };
    const far = ({ location }: (typeof devices)[number]): number => Math.hypot(location.x - x, location.y - y);
    return (
      devices.filter(({ name }) => /^(Cart|Forklift)/.test(name)).sort((one, other) => far(one) - far(other))[0]?.id ??
      ''
    );
  }

  /** Until trails have their length: some ten seconds, with ten messages in each at the most. */
  async function walked(page: Page): Promise<void> {
    const counter = page.locator('.dock button', { hasText: 'Received' });
    const heard = async (): Promise<number> => Number((await counter.textContent())?.replace(/\D/g, ''));
    await expect.poll(heard, { timeout: 120_000 }).toBeGreaterThan(130);
  }

  const tab = (page: Page, name: string): Promise<void> =>
    page.getByRole('navigation', { name: 'Views' }).getByRole('button', { name }).tap();

  /** The page shows no token, and nothing of the machine that it runs on. */
  async function expectDiscreet(page: Page): Promise<void> {
    const text = await page.evaluate(() => document.body.innerText);
    expect(text).not.toMatch(/eyJ[\w-]{10}|\/(tmp|home|root|work)\//);
  }

  it.each(Object.entries(KINDS))('of the %s page', { timeout: 400_000 }, async (kind, options) => {
    watched = await openPage(chrome, hall.http, options);
    const { page } = watched;
    const isPhone = kind.startsWith('phone');

    await page.goto(hall.http);
    await page.getByLabel('Access token').waitFor();
    await shot(page, `signin-${kind}`);

    await page.goto(`${hall.http}#trails=10&token=${await hall.token('admin', '--subject', 'anna')}`);
    await live(page);
    if (!isPhone) await page.keyboard.press('l');
    await walked(page);
    await shot(page, `map-${kind}`);

    if (isPhone) await tab(page, 'Devices');
    else await page.keyboard.press('w');
    await row(page, 'Forklift 2').waitFor();
    await shot(page, `list-${kind}`);
    if (!isPhone) await page.keyboard.press('w');

    // One that its card does not lie over.
    await page.goto(`${hall.http}#device=${await nearest([11, 11.5])}&trails=10`);
    await page.getByLabel('Selected device').waitFor();
    await shot(page, `device-${kind}`);
    await page.getByRole('button', { name: 'Close the device panel' }).click();

    const [from, to] = hall.past;
    const range = `from=${iso(from)}&to=${iso(to)}&t=${iso(from + (to - from) * 0.4)}`;
    await page.goto(`${hall.http}#page=history&trails=30&${range}`);
    await page.locator('.strip-known i').first().waitFor({ state: 'attached' });
    await page.getByText(/[1-9][\d,]* fixes/).waitFor();
    await shot(page, `history-${kind}`);

    await page.goto(`${hall.http}#page=connections`);
    await page.getByRole('heading', { name: 'Connections', level: 2 }).waitFor();
    // What goes through a connection is known after its second heartbeat.
    const display = page.getByRole('row').filter({ hasText: 'wall-display' });
    await expect.poll(() => display.innerText(), { timeout: 60_000 }).toMatch(/[\d.,]+\/s|\d\s+\d+ ms/);
    await shot(page, `administration-${kind}`);
    await page.goto(`${hall.http}#page=sources`);
    await page.getByText('north-gate').first().waitFor();
    await expect
      .poll(() => page.locator('.admin-data').first().innerText(), { timeout: 60_000 })
      .toMatch(/Fixes\/s\s*[1-9]/);
    await shot(page, `sources-${kind}`);
    await expectDiscreet(page);

    await page.goto(`${hall.http}#trails=10`);
    await live(page);
    if (isPhone) await tab(page, 'Map');
    await hall.kill();
    await page.locator('.map[data-live=false]').waitFor({ state: 'attached' });
    await page.getByText('Reconnecting').first().waitFor();
    await shot(page, `lost-${kind}`);
    await hall.start();
    await live(page);
    // The simulated tags began anew, elsewhere.
    await page.goto(`${hall.http}#trails=0`);

    if (isPhone) await tab(page, 'Messages');
    else await page.keyboard.press('l');
    await compose(page);
    for (const payload of ['{"device_id": "tag-404"}', '{"device_id": "tag-6"}']) {
      await page.getByLabel('Type of the message').fill('get_device_location');
      await page.getByLabel('Payload').fill(payload);
      await page.getByRole('button', { name: 'Send' }).click();
      if (payload.includes('404')) await lines(page, 'error').getByText('not_found').first().waitFor();
      else await page.getByText(/Answered after/).waitFor();
    }
    await shot(page, `write-${kind}`);
    await page.getByRole('button', { name: 'Write', exact: true }).click();
    if (!isPhone) await page.getByRole('button', { name: 'Make the messages taller' }).click();
    await expect.poll(() => page.getByLabel('Payload').count()).toBe(0);
    await shot(page, `log-${kind}`);
    await page.getByRole('button', { name: 'Help and keys' }).click();
    await page.getByRole('dialog').waitFor();
    await shot(page, `help-${kind}`);
    await expectDiscreet(page);
  });

  it('of the documents are those that are made here', () => {
    const there = readdirSync(join(ROOT, 'docs/pictures'));
    expect(there.sort()).toEqual(PUBLISHED.map((name) => `${name}.png`).sort());
  });
});
