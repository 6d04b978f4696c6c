import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Locator, Page } from 'playwright-core';

import { startDemo, missingProgram, type Demo } from '../src/anita.ts';
import { violations } from '../src/axe.ts';
import { missingBrowser, missingPage, skipOrFail } from '../src/browser.ts';
import { painted, row } from '../src/page.ts';
import { useVisits, type Place } from '../src/visits.ts';

/** Forced colours: nothing that tells something keeps a colour of the page's author, be it text, a picture or the map. */

const missing = skipOrFail(missingBrowser() ?? missingPage() ?? missingProgram());

const SYSTEM = ['Canvas', 'CanvasText', 'GrayText', 'LinkText', 'Highlight', 'HighlightText', 'ButtonText'] as const;
type System = (typeof SYSTEM)[number];
type Colour = readonly [red: number, green: number, blue: number];

describe.skipIf(missing).each(['light', 'dark'] as const)('forced colours, %s', (colorScheme) => {
  const { serve, visit } = useVisits();
  let demo: Demo;

  beforeAll(async () => {
    demo = await startDemo(12);
  });
  afterAll(() => demo.kill());

  const look = (server: Place, words = ''): Promise<Page> =>
    visit(server, { words }, { colorScheme, forcedColors: 'active' });

  /** The reader's colours, as the browser has them. */
  const system = (page: Page): Promise<Record<System, Colour>> =>
    page.evaluate((names) => {
      const probe = document.createElement('i');
      document.body.append(probe);
      const found = names.map((name) => {
        probe.style.color = name;
        const [red = 0, green = 0, blue = 0] = (getComputedStyle(probe).color.match(/\d+/g) ?? []).map(Number);
        return [name, [red, green, blue]] as const;
      });
      probe.remove();
      return Object.fromEntries(found) as Record<(typeof names)[number], Colour>;
    }, SYSTEM);

  /** The colour of a property, without its transparency. */
  const colour = (element: Locator, property: 'color' | 'stroke' | 'fill' | 'backgroundColor'): Promise<Colour> =>
    element.first().evaluate((it, name) => {
      const text = getComputedStyle(it)[name];
      const share = text.startsWith('color(srgb') ? 255 : 1;
      const [red = 0, green = 0, blue = 0] = (text.match(/[\d.]+/g) ?? []).map((part) => Number(part) * share);
      return [Math.round(red), Math.round(green), Math.round(blue)] as const;
    }, property);

  async function expectSystem(page: Page, pairs: readonly (readonly [string, Parameters<typeof colour>[1]])[]) {
    const allowed = Object.values(await system(page));
    for (const [selector, property] of pairs) {
      const element = page.locator(selector);
      await element.first().waitFor({ state: 'attached' });
      expect(allowed, `${property} of ${selector}`).toContainEqual(await colour(element, property));
    }
  }

  it('draws list, card and link in the reader’s colours', async () => {
    const page = await look(await serve({ tags: 8 }));
    await row(page, 'Bruno 01').click();
    await page.locator('.link-state').click();
    await expectSystem(page, [
      ['.grid-row .name', 'color'],
      ['.grid-row .battery svg', 'color'],
      ['.grid-row .shape', 'color'],
      ['.link-state', 'color'],
      ['.panel .spark-line', 'stroke'],
      ['.panel .spark-ground', 'stroke'],
      ['.pulse-line', 'stroke'],
      ['.pulse-ground', 'stroke'],
    ]);
    await page.keyboard.press('Escape');
    expect(await violations(page)).toEqual([]);
  });

  it('paints the map in the reader’s colours', async () => {
    const page = await look(await serve({ tags: 8 }));
    await row(page, 'Bruno 01').waitFor();
    await painted(page);
    const { Canvas, CanvasText } = await system(page);
    const count = ([red, green, blue]: Colour): Promise<number> =>
      page.locator('.map canvas').evaluate(
        (it, [r, g, b]) => {
          const canvas = it as HTMLCanvasElement;
          const { data } = canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: [] };
          let found = 0;
          for (let at = 0; at < data.length; at += 4) {
            if (data[at] === r && data[at + 1] === g && data[at + 2] === b) found += 1;
          }
          return found;
        },
        [red, green, blue] as const,
      );
    // Most of it is ground, and the symbols are as the text is.
    expect(await count(Canvas)).toBeGreaterThan(50_000);
    await expect.poll(() => count(CanvasText)).toBeGreaterThan(100);
  });

  it('draws the history’s strip, hand and way back in the reader’s colours', async () => {
    const page = await look({ url: demo.http, token: demo.token('viewer') }, '&page=history');
    await page.locator('.strip-bars').waitFor();
    await page.locator('.past-place').filter({ hasText: 'x ' }).first().waitFor();
    await expectSystem(page, [
      ['.strip-bars path:not(.strip-gaps)', 'fill'],
      ['.strip-hand', 'backgroundColor'],
      ['.strip-known i', 'backgroundColor'],
      ['.past-banner b', 'color'],
    ]);
    // The dot is seen: another colour than what it lies on.
    const { Canvas, CanvasText } = await system(page);
    const dot = await colour(page.locator('.live-dot'), 'backgroundColor');
    expect(dot).not.toEqual(Canvas);
    expect(dot).toEqual(CanvasText);
    expect(await violations(page)).toEqual([]);
  });
});
