import { expect } from 'vitest';
import type { Locator, Page } from 'playwright-core';

/** What the tests of the page look at, by the words that people read there. */

export async function live(page: Page, timeoutMs = 20_000): Promise<void> {
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
  await told.waitFor({ timeout: 15_000 });
  expect(await told.locator('.said').innerText()).toMatch(/\w{3,}/);
  expect(await told.locator('.remedy').innerText()).toMatch(/^What to do: .{5,}/);
  expect(await told.locator('.next').innerText()).toMatch(/\w{3,}/);
}
