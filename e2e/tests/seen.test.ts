import { describe, expect, it } from 'vitest';
import type { BrowserContextOptions, Page } from 'playwright-core';

import type { Mock, MockOptions } from '../../dashboard/dev/mock.ts';
import { missingBrowser, missingPage, skipOrFail } from '../src/browser.ts';
import { live, painted, row } from '../src/page.ts';
import { useVisits } from '../src/visits.ts';

/** What fingers do and eyes see: two fingers on the map, the heat map, the facts of the link at every width. */

const missing = skipOrFail(missingBrowser() ?? missingPage());

const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

interface Point {
  readonly x: number;
  readonly y: number;
}

describe.skipIf(missing)('what is touched and seen', () => {
  const visits = useVisits();

  async function visit(
    more: BrowserContextOptions = {},
    options: MockOptions = {},
  ): Promise<{ page: Page; mock: Mock }> {
    const mock = await visits.serve({ tags: 8, ...options });
    return { page: await visits.visit(mock, {}, more), mock };
  }

  /** Where the map looks, as the address says it. */
  const look = (page: Page): (Point & { readonly scale: number }) | undefined => {
    const [x, y, scale] = (new URLSearchParams(new URL(page.url()).hash.slice(1)).get('at') ?? '')
      .split(',')
      .map(Number);
    return x === undefined || y === undefined || scale === undefined ? undefined : { x, y, scale };
  };

  it('zooms with two fingers about the middle between them', async () => {
    const { page } = await visit(PHONE);
    const field = page.getByRole('application');
    const box = await field.boundingBox();
    if (box === null) throw new Error('There is no map.');
    const middle = { x: box.x + box.width * 0.4, y: box.y + box.height * 0.45 };
    const debug = await page.context().newCDPSession(page);
    const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', apart: number): Promise<unknown> =>
      debug.send('Input.dispatchTouchEvent', {
        type,
        touchPoints:
          type === 'touchEnd'
            ? []
            : [-1, 1].map((side, id) => ({ x: middle.x + side * apart, y: middle.y + (side * apart) / 2, id })),
      });
    const pinch = async (from: number, to: number): Promise<void> => {
      await touch('touchStart', from);
      for (let step = 1; step <= 8; step += 1) await touch('touchMove', from + ((to - from) * step) / 8);
      await touch('touchEnd', to);
    };
    /** The site point under the middle between the fingers. */
    const under = ({ x, y, scale }: Point & { readonly scale: number }): Point => ({
      x: x + (middle.x - box.x - box.width / 2) / scale,
      y: y - (middle.y - box.y - box.height / 2) / scale,
    });
    const bar = (): Promise<string> => page.locator('.scale-bar').innerText();
    // The address names the place as soon as somebody has moved the map.
    await pinch(60, 75);
    await expect.poll(() => look(page)?.scale ?? 0).toBeGreaterThan(0);
    const scale = async (): Promise<number> => {
      const width = (await page.locator('.scale-bar').boundingBox())?.width ?? 0;
      return width / Number((await bar()).replace(' m', ''));
    };
    await expect.poll(async () => Math.abs((await scale()) / (look(page)?.scale ?? 1) - 1)).toBeLessThan(0.03);
    const before = look(page);
    if (before === undefined) throw new Error('The address names no place.');
    const label = await bar();

    await pinch(40, 120);
    await expect.poll(() => (look(page)?.scale ?? 0) / before.scale).toBeCloseTo(3, 0);
    expect(await bar()).not.toBe(label);
    const after = look(page);
    if (after === undefined) throw new Error('The address names no place.');
    // Within two pixels.
    expect(Math.abs(under(after).x - under(before).x) * after.scale).toBeLessThan(2);
    expect(Math.abs(under(after).y - under(before).y) * after.scale).toBeLessThan(2);

    await pinch(120, 40);
    await expect.poll(() => (look(page)?.scale ?? 0) / before.scale).toBeCloseTo(1, 0);
    // Two fingers have selected nothing.
    expect(await page.getByLabel('Selected device').count()).toBe(0);
  });

  it('draws the heat map where tags stayed', async () => {
    const { page } = await visit({ colorScheme: 'light' });
    await row(page, 'Bruno 01').waitFor();
    // Nothing else than stays is warm.
    for (const key of ['t', 'n', 'a']) await page.keyboard.press(key);
    await painted(page);
    /** Pixels that are plainly more red than blue. */
    const warm = (): Promise<number> =>
      page.locator('.map canvas').evaluate((it) => {
        const canvas = it as HTMLCanvasElement;
        const { data } = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: [] };
        let found = 0;
        for (let at = 0; at < data.length; at += 4) if ((data[at] ?? 0) - (data[at + 2] ?? 0) > 90) found += 1;
        return found;
      });
    const before = await warm();
    await page.keyboard.press('h');
    await page.locator('.heat-legend').waitFor();
    await expect.poll(warm).toBeGreaterThan(before + 2_000);
    await page.keyboard.press('h');
    await expect.poll(warm).toBeLessThan(before + 500);
  });

  it.each(['en-US', 'de-DE'])(
    'shows the state, the age of the data and the round trip at every width, %s',
    async (locale) => {
      const { page } = await visit({ locale });
      const facts = page.locator('.link-facts');
      await page.locator('.user b').evaluate((name) => {
        name.textContent = 'a-very-long-user-name@warehouse.example.com';
      });
      /** The values of which all is within what shows them, and within the window. */
      const whole = (): Promise<string[]> =>
        facts.evaluate((list) => {
          const frame = list.getBoundingClientRect();
          return [...list.children].flatMap((one) => {
            const { right, bottom } = one.getBoundingClientRect();
            const fits = right <= Math.min(frame.right, innerWidth) + 1 && bottom <= frame.bottom + 1;
            return fits ? [one.querySelector('dd')?.textContent ?? ''] : [];
          });
        });
      for (const width of [1_280, 1_024, 800, 390]) {
        await page.setViewportSize({ width, height: 800 });
        await expect
          .poll(whole)
          .toEqual(
            expect.arrayContaining([
              expect.stringMatching(/^(now|jetzt)$/),
              expect.stringMatching(/^\d+([.,]\d)? ms$/),
            ]),
          );
        expect(await page.evaluate(() => document.documentElement.scrollWidth), String(width)).toBe(width);
      }
    },
  );

  it('greys the list with the map when the link is lost, and says as of when', async () => {
    const { page, mock } = await visit();
    await row(page, 'Bruno 01').waitFor();
    mock.hangUp(1012, '{"code":"restart","retry_after_ms":60000}');
    await page.locator('.link[data-state=waiting]').waitFor();
    await page.getByRole('grid', { name: /^Devices as of \d\d:\d\d:\d\d$/ }).waitFor();
    await page
      .locator('.list-tools')
      .getByText(/^as of \d\d:\d\d:\d\d$/)
      .waitFor();
    const filter = (): Promise<string> =>
      page
        .locator('.grid-row')
        .first()
        .evaluate((one) => getComputedStyle(one).filter);
    expect(await filter()).toBe('grayscale(1)');
    // The facts are there at the width of a phone as well.
    await page.setViewportSize({ width: 390, height: 844 });
    const newest = page.locator('.link-facts dd').first();
    expect(await newest.innerText()).toMatch(/ago|now/);
    const box = await newest.boundingBox();
    expect((box?.x ?? -1) >= 0 && (box?.x ?? 0) + (box?.width ?? 0) <= 390).toBe(true);
    await page.setViewportSize({ width: 1_280, height: 800 });
    await page.getByRole('button', { name: 'Try now' }).click();
    await live(page);
    await expect.poll(filter).toBe('none');
    await page.getByRole('grid', { name: /^Devices$/ }).waitFor();
  });
});
