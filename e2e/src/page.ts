import { expect } from 'vitest';
import type { Locator, Page } from 'playwright-core';

/** What the tests of the page look at, by the words that people read there. */

/** The pauses between two attempts grow to 20 s, and an attempt takes its time. */
export async function live(page: Page, timeoutMs = 60_000): Promise<void> {
  await page.locator('.link[data-state=online]').getByText('Live').waitFor({ timeout: timeoutMs });
}

export function row(page: Page, name: string): Locator {
  return page.getByRole('row').filter({ has: page.getByText(name, { exact: true }) });
}

export const names = (page: Page): Promise<string[]> => page.locator('.grid-row .name').allInnerTexts();

export const lines = (page: Page, level: string): Locator => page.locator(`.line[data-level=${level}]`);

/** Opens the field for a message by hand. */
export async function compose(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Write', exact: true }).click();
  await page.getByLabel('Write a message', { exact: true }).waitFor();
}

/** The selected device changes its place. */
export async function expectMoving(page: Page): Promise<void> {
  const place = async (): Promise<string> => (await page.locator('[data-axis]').allInnerTexts()).join(' ');
  await expect.poll(place).toMatch(/\d/);
  const before = await place();
  await expect.poll(place).not.toBe(before);
}

/** An error in the log: its kind and code, a remedy, and what comes next. */
export async function expectError(page: Page, fault: string, code: RegExp): Promise<void> {
  const told = lines(page, 'error')
    .filter({ hasText: `${fault} error` })
    .filter({ hasText: code })
    .first();
  await told.waitFor();
  expect(await told.locator('.said').innerText()).toMatch(/\w{3,}/);
  expect(await told.locator('.remedy').innerText()).toMatch(/^What to do: .{5,}/);
  expect(await told.locator('.next').innerText()).toMatch(/\w{3,}/);
}

/** Something has the keyboard. */
export async function expectFocus(field: Locator): Promise<void> {
  await expect.poll(() => field.evaluate((element) => element === document.activeElement)).toBe(true);
}

/** `/`, and the field for the search has the keyboard, which it gets with the next picture. */
export async function search(page: Page, text: string): Promise<void> {
  await page.keyboard.press('/');
  await expectFocus(page.locator('#device-search'));
  await page.keyboard.type(text);
}

/**
 * Goes to a section with `g` and its letter. They count as one only within a moment, so that they are sent together, and
 * again until the section is there; a letter that came too late has switched something of the map.
 */
export async function goByKeys(page: Page, key: string, name: string): Promise<void> {
  const section = page.getByRole('navigation', { name: 'Pages' }).locator('[aria-current=page]');
  await expect
    .poll(
      async () => {
        const now = await section.innerText();
        if (now !== name) await Promise.all(['g', key].map((one) => page.keyboard.press(one)));
        return now;
      },
      { interval: 500, timeout: 60_000 },
    )
    .toBe(name);
}

/** What is in the clipboard. */
export const clipboard = (page: Page): Promise<string> => page.evaluate(() => navigator.clipboard.readText());

/** Words that stand there for a moment only: the page itself sees them, whoever looks late. */
export async function expectFlash(page: Page, words: string, act: () => Promise<void>): Promise<void> {
  const watch = await page.evaluateHandle((text) => {
    const it = { isSeen: false };
    new MutationObserver((_, observer) => {
      if (!document.body.textContent.includes(text)) return;
      it.isSeen = true;
      observer.disconnect();
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
    return it;
  }, words);
  await act();
  await expect.poll(() => watch.evaluate(({ isSeen }) => isSeen)).toBe(true);
}

/** How many pictures the page draws in some time. It tells how busy the machine is, too: nothing may depend on it. */
export function framesIn(page: Page, ms: number): Promise<number> {
  return page.evaluate(
    (time) =>
      new Promise<number>((done) => {
        let frames = 0;
        const end = performance.now() + time;
        const frame = (): void => {
          frames += 1;
          if (performance.now() < end) requestAnimationFrame(frame);
          else done(frames);
        };
        requestAnimationFrame(frame);
      }),
    ms,
  );
}

/** Until the page has drawn so many pictures more. */
export function painted(page: Page, frames = 2): Promise<void> {
  return page.evaluate(
    (count) =>
      new Promise<void>((done) => {
        let left = count;
        const frame = (): void => {
          left -= 1;
          if (left < 0) done();
          else requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
      }),
    frames,
  );
}

/** Goes elsewhere and back; whether the page came from the back/forward cache, as it was. */
export async function leaveAndReturn(page: Page, elsewhere: string, meanwhile: () => Promise<void>): Promise<boolean> {
  await page.evaluate(() => {
    document.documentElement.dataset['kept'] = '';
  });
  await page.goto(elsewhere);
  await meanwhile();
  await page.goBack({ waitUntil: 'commit' });
  return page.evaluate(() => 'kept' in document.documentElement.dataset);
}

/** A browser is free not to keep a page, and does so when it has much to do: three times are no accident. */
export const ROUNDS = 3;

/** The dashboard goes to the back/forward cache and comes back from it. */
export async function comeBack(page: Page, elsewhere: string, meanwhile: () => Promise<void>): Promise<void> {
  for (let round = 1; !(await leaveAndReturn(page, elsewhere, meanwhile)); round += 1) {
    if (round === ROUNDS) throw new Error('The page does not come from the back/forward cache.');
    await live(page);
  }
}
