import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';

import { makeServer, missingProgram, type Server } from '../src/anita.ts';
import { violations } from '../src/axe.ts';
import {
  missingBrowser,
  missingPage,
  openChrome,
  openPage,
  skipOrFail,
  type Chrome,
  type Watched,
} from '../src/browser.ts';
import { live } from '../src/page.ts';

/** The page of the past, against the real program with a store on disk: what was recorded is what is replayed. */

const missing = skipOrFail(missingBrowser() ?? missingPage() ?? missingProgram());

/** Seconds of the recording; between two of its parts nobody reported. */
const LENGTH = 120;
const GAP = [60, 80] as const;

interface Item {
  readonly device_id: string;
  readonly location: { readonly x: number; readonly y: number; readonly z: number };
  readonly timestamp: string;
}

describe.skipIf(missing)('the page of the past', () => {
  let chrome: Chrome;
  let server: Server;
  let viewer: string;
  let watched: Watched[] = [];
  /** When the recording begins, in milliseconds: a whole second of the recent past. */
  let start = 0;

  beforeAll(async () => {
    chrome = await openChrome();
    server = await makeServer(
      '[site]\nname = "Hall 3"\nbounds = [0, 0, 130, 40]\n[roles]\nwatcher = ["devices.read", "rooms.join"]\n',
      undefined,
      'sqlite:anita.db',
    );
    await server.start();
    viewer = await server.token('viewer');
    start = Math.floor(Date.now() / 1_000) * 1_000 - 600_000;
    // `walker` goes by a metre a second along y = 10, `stander` reports once and stays.
    const locations: Item[] = [];
    for (let second = 0; second <= LENGTH; second += 1) {
      if (second > GAP[0] && second < GAP[1]) continue;
      locations.push({ device_id: 'walker', location: { x: second, y: 10, z: 1 }, timestamp: iso(second) });
    }
    locations.push({ device_id: 'stander', location: { x: 5, y: 30, z: 1 }, timestamp: iso(40) });
    const reported = await fetch(`${server.http}api/v1/locations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await server.token('publisher')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ locations }),
    });
    expect(await reported.json()).toMatchObject({ accepted: locations.length });
  });
  afterAll(async () => {
    await chrome.close();
    await server.remove();
  });
  beforeEach(() => {
    watched = [];
  });
  afterEach(async () => {
    const faults = watched.flatMap((one) => one.faults);
    for (const one of watched) await one.close();
    expect(faults).toEqual([]);
  });

  const iso = (second: number): string => new Date(start + second * 1_000).toISOString();

  async function visit(words = '', more: BrowserContextOptions = {}, token = viewer): Promise<Page> {
    const one = await openPage(chrome, server.http, more);
    watched.push(one);
    await one.page.goto(`${server.http}#token=${token}${words}`);
    await live(one.page);
    return one.page;
  }

  const recording = (at: number): string => `&page=history&from=${iso(0)}&to=${iso(LENGTH)}&t=${iso(at)}`;

  /** The words of the shown moment, in seconds since the recording began. */
  const moment = async (page: Page): Promise<number> =>
    (Date.parse((await page.locator('.moment-time').getAttribute('datetime')) ?? '') - start) / 1_000;
  const place = (page: Page, name: string): Promise<string> =>
    page.locator('.past-row').filter({ hasText: name }).locator('.past-place').innerText();
  const x = async (page: Page): Promise<number> => Number(/x (\S+)/.exec(await place(page, 'walker'))?.[1]);
  const past = (page: Page): Locator => page.locator('.past');
  const press = (page: Page, name: string): Promise<void> =>
    past(page).getByRole('button', { name, exact: true }).click();

  const counted = (page: Page, words: string): Promise<void> => page.getByText(words, { exact: true }).waitFor();

  it('shows the density with its gap, and the place that a link names', async () => {
    const page = await visit(recording(30.5));
    await expect.poll(() => place(page, 'walker')).toBe('x 30.50 y 10.00 m');
    await expect.poll(() => place(page, 'stander')).toBe('not seen then');
    // A part of the strip a second: a bar each for what was reported, and a gap for each of the 19 s of silence.
    const paths = page.locator('.strip-bars path');
    const parts = async (index: number): Promise<number> =>
      ((await paths.nth(index).getAttribute('d')) ?? '').split('M').length - 1;
    await expect.poll(() => parts(1)).toBeGreaterThan(95);
    await expect.poll(() => parts(0)).toBe(GAP[1] - GAP[0] - 1);
    await counted(page, '103 fixes');
    await page.getByText('2 in this time').waitFor();
    const shown = new Date(start + 30_500).toTimeString().slice(0, 8);
    expect(await page.locator('.past-banner').innerText()).toMatch(
      new RegExp(`^The past as of ${shown} · .* before now`),
    );
  });

  it('plays through the recorded places, faster and slower, and stands still on demand', async () => {
    const page = await visit(recording(10));
    await expect.poll(() => x(page)).toBe(10);
    await press(page, 'Play');
    await expect.poll(() => x(page)).toBeGreaterThan(11);
    await press(page, 'Pause');
    const stopped = await moment(page);
    // Where it stands is where it was at that moment.
    await expect.poll(() => x(page)).toBeCloseTo(stopped, 1);
    await page.getByLabel('Speed').selectOption('30');
    await press(page, 'Play');
    await expect.poll(() => moment(page), { timeout: 60_000 }).toBe(LENGTH);
    await past(page).getByRole('button', { name: 'Play', exact: true }).waitFor();
    await expect.poll(() => x(page)).toBe(LENGTH);
  });

  it('steps from fix to fix, over the gap, and by a second', async () => {
    const page = await visit(recording(59.5));
    await expect.poll(() => x(page)).toBe(59.5);
    for (const [word, at] of [
      ['Next fix', 60],
      ['Next fix', 80],
      ['Previous fix', 60],
      ['On by 1 s', 61],
      ['Back by 1 s', 60],
    ] as const) {
      await press(page, word);
      await expect.poll(() => moment(page)).toBe(at);
    }
    // In the gap it stays where it was, and nothing is made up.
    await press(page, 'On by 1 s');
    await expect.poll(() => x(page)).toBe(60);
    // Along the selected device only.
    await page.getByRole('button', { name: /^stander/ }).click();
    await press(page, 'Previous fix of stander');
    await expect.poll(() => moment(page)).toBe(40);
    await press(page, 'Previous fix of stander');
    await page.getByText('There is no earlier fix in this time.').waitFor();
  });

  it('begins again at its end when it is told to', async () => {
    const page = await visit(`${recording(118)}&speed=4&loop=1`);
    await expect.poll(() => x(page)).toBe(118);
    await press(page, 'Play');
    await expect.poll(() => moment(page)).toBeLessThan(60);
    await past(page).getByRole('button', { name: 'Pause', exact: true }).waitFor();
  });

  it('zooms into the part that is drawn over, and goes where it is clicked', async () => {
    const page = await visit(recording(0));
    await counted(page, '103 fixes');
    const whole = `from=${iso(0).replace('.000Z', 'Z')}`;
    const strip = page.getByRole('slider', { name: 'Moment in the range' });
    const box = await strip.boundingBox();
    if (box === null) throw new Error('There is no strip.');
    const at = (share: number): readonly [number, number] => [box.x + box.width * share, box.y + box.height / 2];
    await page.mouse.click(...at(0.25));
    await expect.poll(() => moment(page)).toBeCloseTo(30, -0.5);
    await page.mouse.move(...at(0.5));
    await page.mouse.down();
    await page.mouse.move(...at(0.75), { steps: 4 });
    await page.mouse.up();
    // The address follows a moment later.
    await expect.poll(() => page.url()).not.toContain(whole);
    await press(page, 'Back to the longer time');
    await counted(page, '103 fixes');
    await expect.poll(() => page.url()).toContain(whole);
  });

  it('shows the chosen devices only, and another person the same', async () => {
    const page = await visit(recording(45));
    await expect.poll(() => place(page, 'stander')).toMatch(/^x 5\.00/);
    await page.getByLabel('Show walker').uncheck();
    await expect.poll(() => place(page, 'walker')).toBe('not seen then');
    await counted(page, '1 fix');
    await page.getByLabel('Speed').selectOption('8');
    await expect.poll(() => page.url()).toContain('speed=8');
    await expect.poll(() => page.url()).toContain('of=stander');
    const other = await visit(`&${new URL(page.url()).hash.slice(1)}`);
    await expect.poll(() => place(other, 'stander')).toMatch(/^x 5\.00/);
    expect(await other.getByLabel('Speed').inputValue()).toBe('8');
    await expect.poll(() => moment(other)).toBe(45);
    expect(await other.getByLabel('Show walker').isChecked()).toBe(false);
  });

  it('says where there is something when a range has nothing', async () => {
    const page = await visit(`&page=history&from=${iso(200)}&to=${iso(260)}`);
    await page.getByText('Nothing was recorded in this time.').waitFor();
    await page.getByRole('button', { name: /^Show the last fixes before/ }).click();
    await expect.poll(() => x(page)).toBe(LENGTH);
    await page.getByRole('button', { name: 'From … to …' }).click();
    await page.getByLabel('To', { exact: true }).fill('2020-01-01T00:00:00');
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    await page.getByText('Give both times, the first one before the second.').waitFor();
  });

  it('goes back to live, and never shows what happens meanwhile', async () => {
    const page = await visit(recording(20));
    await expect.poll(() => x(page)).toBe(20);
    const now = [{ device_id: 'walker', location: { x: 77, y: 22, z: 1 } }];
    await fetch(`${server.http}api/v1/locations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await server.token('publisher')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ locations: now }),
    });
    await page.getByText('Newest data').waitFor();
    await press(page, 'On by 1 s');
    await expect.poll(() => x(page)).toBe(21);
    await expect.poll(() => page.url()).toContain(`t=${iso(21).replace('.000Z', 'Z')}`);
    await page.locator('.transport').getByRole('button', { name: 'Back to live' }).click();
    await page.getByRole('grid').waitFor();
    await expect.poll(() => new URL(page.url()).hash).not.toMatch(/from=|page=/);
    await page.getByRole('row').filter({ hasText: 'walker' }).click();
    await expect.poll(async () => (await page.locator('[data-axis]').allInnerTexts()).join(' ')).toContain('77.00');
    await expect.poll(() => page.url()).toContain('device=walker');
    // And back to the same moment of the past.
    await page.goBack();
    await page.goBack();
    await expect.poll(() => x(page)).toBe(21);
  });

  it('is not there without the right to it', async () => {
    const page = await visit(recording(20), {}, await server.token('watcher'));
    await page.getByRole('grid').waitFor();
    expect(await page.getByRole('button', { name: 'History', exact: true }).count()).toBe(0);
    expect(await page.locator('.past').count()).toBe(0);
  });

  it('is used by keys alone', async () => {
    const page = await visit(recording(10));
    await expect.poll(() => x(page)).toBe(10);
    await page.keyboard.press('Space');
    await expect.poll(() => moment(page)).toBeGreaterThan(10.5);
    await page.keyboard.press('Space');
    await page.getByRole('slider', { name: 'Moment in the range' }).focus();
    await page.keyboard.press('Home');
    await expect.poll(() => moment(page)).toBe(0);
    for (const key of ['ArrowRight', 'ArrowRight', 'Shift+ArrowRight', 'ArrowLeft']) await page.keyboard.press(key);
    await expect.poll(() => moment(page)).toBe(11);
    await page.keyboard.press('.');
    await expect.poll(() => moment(page)).toBe(12);
    await page.keyboard.press(']');
    await counted(page, '13 fixes');
    await page.keyboard.press('End');
    await expect.poll(() => moment(page)).toBe(12);
    await page.keyboard.press('Backspace');
    await counted(page, '103 fixes');
    await page.keyboard.press('>');
    await expect.poll(() => page.getByLabel('Speed').inputValue()).toBe('2');
    expect(await page.getByRole('slider').getAttribute('aria-valuetext')).toMatch(/\d{4}.*\d\d:\d\d:\d\d.*fix/);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`has no violation that axe finds, ${colorScheme}, on a desk and on a phone`, async () => {
      for (const viewport of [
        { width: 1280, height: 800 },
        { width: 390, height: 844 },
      ]) {
        const page = await visit('', { colorScheme, viewport });
        await page.goto(`${server.http}#${recording(45).slice(1)}&device=walker`);
        await page.reload();
        await counted(page, '103 fixes');
        await page.getByRole('button', { name: 'From … to …' }).click();
        expect(await violations(page)).toEqual([]);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        expect(wide).toBeLessThanOrEqual(viewport.width);
        for (const name of ['Play', 'Next fix of walker', 'Back to live']) {
          const box = await page.locator('.past-time').getByRole('button', { name, exact: true }).boundingBox();
          expect((box?.x ?? Infinity) + (box?.width ?? 0), name).toBeLessThanOrEqual(viewport.width);
        }
        if (viewport.width < 760) {
          await press(page, 'Devices');
          await expect.poll(() => place(page, 'walker')).toMatch(/^x 45\.00/);
          expect(await violations(page)).toEqual([]);
        }
      }
    });
  }
});
