import { deflateSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';

import { missingProgram, startDemo, type Demo } from '../src/anita.ts';
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
import { live, painted, row } from '../src/page.ts';

/** Floor plans against the real program: brought, placed, seen by everybody, changed by few. */

const missing = skipOrFail(missingProgram() ?? missingBrowser() ?? missingPage());

/** A drawing of 800 × 400 pixels. */
const DRAWING = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 400">
  <rect width="800" height="400" fill="#fff"/>
  <path d="M5 5h790v390H5zM5 200h300M305 5v140M500 395V240h295" fill="none" stroke="#000" stroke-width="10"/>
</svg>`;

/** A PNG of one colour, that a browser reads. */
function png(width: number, height: number, grey: number): Buffer {
  const chunk = (name: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  head[8] = 8;
  const line = Buffer.concat([Buffer.from([0]), Buffer.alloc(width, grey)]);
  const data = deflateSync(Buffer.concat(Array.from({ length: height }, () => line)));
  const parts = [chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]);
}

function crc32(bytes: Buffer): number {
  let sum = 0xffff_ffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb8_8320 : 0);
  }
  return ~sum >>> 0;
}

describe.skipIf(missing)('floor plans', () => {
  let chrome: Chrome;
  let demo: Demo;
  let watched: Watched[] = [];

  beforeAll(async () => {
    chrome = await openChrome();
    demo = await startDemo(10);
  });
  afterAll(async () => {
    await chrome.close();
    await demo.kill();
  });
  beforeEach(() => {
    watched = [];
  });
  afterEach(async () => {
    const faults = watched.flatMap((one) => one.faults);
    for (const one of watched) await one.close();
    const headers = { authorization: `Bearer ${demo.token('admin')}` };
    for (const { id } of await told()) await fetch(`${demo.http}api/v1/plans/${id}`, { method: 'DELETE', headers });
    expect(faults).toEqual([]);
  });

  interface Told {
    readonly id: string;
    readonly name: string;
    readonly floor?: number;
    readonly opacity: number;
    readonly picture?: { readonly media_type: string; readonly width_px: number; readonly url: string };
    readonly calibration?: { readonly metres_per_pixel: number; readonly points: unknown };
  }

  /** The plans as the server tells them. */
  async function told(): Promise<readonly Told[]> {
    const headers = { authorization: `Bearer ${demo.token('viewer')}` };
    const answer = (await (await fetch(`${demo.http}api/v1/plans`, { headers })).json()) as { plans: Told[] };
    return answer.plans;
  }

  async function visit(role: string, more: BrowserContextOptions = {}): Promise<Page> {
    const one = await openPage(chrome, demo.http, more);
    watched.push(one);
    await one.page.goto(`${demo.http}#token=${demo.token(role)}`);
    await live(one.page);
    return one.page;
  }

  const editor = (page: Page): Locator => page.getByRole('region', { name: 'Floor plans' });
  const open = (page: Page): Promise<void> => page.getByRole('button', { name: 'Change floor plans' }).click();

  async function choose(page: Page, name: string, mimeType: string, buffer: Buffer): Promise<void> {
    await editor(page).locator('input[type=file]').setInputFiles({ name, mimeType, buffer });
  }

  async function place(page: Page, letter: string, x: string, y: string): Promise<void> {
    await editor(page).getByLabel(`${letter}: x, metres`).fill(x);
    await editor(page).getByLabel(`${letter}: y, metres`).fill(y);
  }

  /** How dark the map is, away from what moves: the mean of a coarse grid of the canvas. */
  async function ink(page: Page): Promise<number> {
    return page.locator('.map canvas').evaluate((element) => {
      const canvas = element as HTMLCanvasElement;
      const data = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data ?? [];
      let dark = 0;
      for (let at = 0; at < data.length; at += 4) {
        // Where nothing is drawn yet is no ink.
        const isDrawn = data[at + 3] === 255;
        if (isDrawn && (data[at] ?? 255) < 150 && (data[at + 2] ?? 255) < 170) dark += 1;
      }
      return dark;
    });
  }

  async function saved(page: Page): Promise<void> {
    await editor(page).getByRole('button', { name: 'Save' }).click();
    await editor(page).getByText('Saved').waitFor();
  }

  it('are brought and placed with two points, stay after a reload, and a viewer only looks at them', async () => {
    const page = await visit('admin');
    // The map as it is without a plan.
    await page.locator('.grid-row').first().waitFor();
    await painted(page);
    const before = await ink(page);
    await open(page);
    await choose(page, 'Hall 7.svg', 'image/svg+xml', Buffer.from(DRAWING));
    await editor(page).getByRole('heading', { name: 'Hall 7' }).waitFor();
    // It is seen before it is saved.
    await expect.poll(() => ink(page)).toBeGreaterThan(before + 500);
    await editor(page).getByLabel('Floor', { exact: true }).fill('0');
    const sheet = editor(page).locator('.plans-sheet');
    const box = await sheet.boundingBox();
    if (box === null) throw new Error('the picture is not there');
    await editor(page).getByRole('button', { name: 'Point A', exact: true }).click();
    await sheet.click({ position: { x: box.width / 4, y: (box.height * 3) / 4 } });
    await place(page, 'A', '10', '5');
    const b = editor(page).getByRole('button', { name: /^Point B, pixel/ });
    await b.focus();
    const pixel = async (): Promise<string> => (await b.getAttribute('aria-label')) ?? '';
    await expect.poll(pixel).toBe('Point B, pixel 720.0, 40.0');
    for (const key of ['Shift+ArrowLeft', 'ArrowDown', 'ArrowLeft']) await page.keyboard.press(key);
    await expect.poll(pixel).toBe('Point B, pixel 709.0, 41.0');
    await place(page, 'B', '35,45', '18');
    await editor(page)
      .getByText(/5\.\d\d cm a pixel/)
      .waitFor();
    await saved(page);

    const [plan] = await told();
    expect(plan).toMatchObject({ name: 'Hall 7', floor: 0, opacity: 1, picture: { media_type: 'image/svg+xml' } });
    expect(plan?.calibration?.points).toMatchObject([
      { metres: { x: 10, y: 5 } },
      { pixel: { x: 709, y: 41 }, metres: { x: 35.45, y: 18 } },
    ]);
    await page.reload();
    await live(page);
    await expect.poll(() => ink(page)).toBeGreaterThan(before + 500);
    const drawn = await ink(page);
    await page.getByRole('button', { name: 'Floor plan pictures' }).click();
    await expect.poll(() => ink(page)).toBeLessThan(drawn - 500);

    const looking = await visit('viewer');
    await looking.getByRole('button', { name: 'Floor plan pictures' }).waitFor();
    await expect.poll(() => ink(looking)).toBeGreaterThan(before + 500);
    expect(await looking.getByRole('button', { name: 'Change floor plans' }).count()).toBe(0);
    // And what the page does not offer, the server refuses.
    const refused = await looking.evaluate(async (id) => {
      const path = `api/v1/plans/${id}`;
      const [changed, removed] = await Promise.all([
        fetch(`${path}/picture`, { method: 'PUT', body: '<svg/>' }),
        fetch(path, { method: 'DELETE' }),
      ]);
      return [changed.status, removed.status];
    }, plan?.id ?? '');
    expect(refused).toEqual([403, 403]);
  });

  it('keep their place with a finer picture of the same drawing, and are removed after a second thought', async () => {
    const page = await visit('admin');
    await open(page);
    await choose(page, 'a.svg', 'image/svg+xml', Buffer.from(DRAWING));
    await place(page, 'A', '0', '0');
    await place(page, 'B', '32', '16');
    await editor(page).getByLabel('Visible').fill('50');
    await saved(page);
    const [coarse] = await told();
    expect(coarse?.calibration?.metres_per_pixel).toBeCloseTo(0.05, 5);
    expect(coarse?.opacity).toBe(0.5);

    await editor(page).getByRole('button', { name: 'a every floor' }).click();
    await choose(page, 'a.png', 'image/png', png(1_600, 800, 200));
    await editor(page).getByText('2.50 cm a pixel').waitFor();
    await saved(page);
    await expect.poll(told).toMatchObject([{ id: coarse?.id, picture: { media_type: 'image/png', width_px: 1_600 } }]);
    const [fine] = await told();
    expect(fine?.calibration?.metres_per_pixel).toBeCloseTo(0.025, 5);

    await editor(page).getByRole('button', { name: 'a every floor' }).click();
    await editor(page).getByRole('button', { name: 'Remove', exact: true }).click();
    await editor(page).getByRole('button', { name: 'Remove it' }).click();
    await editor(page).getByText('Removed.').waitFor();
    expect(await told()).toEqual([]);
  });

  it('are refused in words, by the page and by the server, and nothing half-made stays', async () => {
    const page = await visit('admin');
    await open(page);
    const alert = editor(page).getByRole('alert');
    await choose(page, 'notes.txt', 'text/plain', Buffer.from('no picture'));
    await alert.getByText('no PNG, SVG, JPEG or WebP').waitFor();
    await choose(page, 'broken.png', 'image/png', Buffer.from('no picture'));
    await alert.getByText('cannot show the picture').waitFor();
    await choose(page, 'large.png', 'image/png', Buffer.alloc(5_000_000));
    await alert.getByText('5.0 MB').waitFor();
    const active = DRAWING.replace('<rect', '<script>alert(1)</script><rect');
    await choose(page, 'active.svg', 'image/svg+xml', Buffer.from(active));
    await place(page, 'A', '0', '');
    await editor(page).getByText('as numbers').waitFor();
    expect(await editor(page).getByRole('button', { name: 'Save' }).isDisabled()).toBe(true);
    await place(page, 'A', '32', '16');
    await place(page, 'B', '32', '16');
    await editor(page).getByText('metres of the two points are the same').waitFor();
    await place(page, 'A', '0', '0');
    await editor(page).getByRole('button', { name: 'Save' }).click();
    await alert.getByText(/holds the element `script`.*plain SVG/).waitFor();
    expect(await told()).toEqual([]);
  });

  it('are made with the keyboard alone, without a fault that axe finds, on a phone and in the dark', async () => {
    for (const options of [
      { viewport: { width: 390, height: 844 }, colorScheme: 'light' },
      { viewport: { width: 1280, height: 800 }, colorScheme: 'dark' },
    ] as const) {
      const one = await openPage(chrome, demo.http, options);
      watched.push(one);
      const { page } = one;
      await page.goto(`${demo.http}#token=${demo.token('admin')}`);
      await live(page);
      const button = page.getByRole('button', { name: 'Change floor plans' });
      await button.focus();
      await page.keyboard.press('Enter');
      await expect.poll(() => violations(page), { timeout: 60_000 }).toEqual([]);
      await choose(page, 'a.svg', 'image/svg+xml', Buffer.from(DRAWING));
      await editor(page).getByLabel('Name').waitFor();
      await expect.poll(() => violations(page), { timeout: 60_000 }).toEqual([]);
      await editor(page).getByLabel('Name').focus();
      await page.keyboard.type('!');
      await page.keyboard.press('Enter');
      await editor(page).getByText('Saved').waitFor();
      expect((await told()).some(({ name }) => name === 'a!')).toBe(true);
      // Nothing is wider than the screen.
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(wide).toBeLessThanOrEqual(0);
      await editor(page).getByRole('button', { name: 'Close the floor plans' }).click();
      await expect.poll(() => editor(page).count()).toBe(0);
    }
  });

  it('stay under the tags when one of them is chosen for a point', async () => {
    const page = await visit('admin');
    await open(page);
    await choose(page, 'a.svg', 'image/svg+xml', Buffer.from(DRAWING));
    await row(page, 'Tag 01').or(page.getByRole('row').nth(1)).first().click();
    const here = editor(page)
      .getByRole('button', { name: /^Where .+ is$/ })
      .first();
    await editor(page).getByLabel('A: x, metres').fill('-999');
    await here.click();
    await expect.poll(() => editor(page).getByLabel('A: x, metres').inputValue()).not.toBe('-999');
  });
});
