import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startMock, type Mock } from '../../dashboard/dev/mock.ts';
import { openChrome, openPage, ROOT, type Chrome } from '../src/browser.ts';

/** Pictures to look at: `ANITA_PICTURES=folder npm test -- pictures`. */
const FOLDER = process.env['ANITA_PICTURES'] ?? '';

describe('pictures', () => {
  let chrome: Chrome;
  let mock: Mock;

  beforeAll(async () => {
    chrome = await openChrome();
    mock = await startMock({ root: ROOT, tags: 50 });
  });
  afterAll(async () => {
    await chrome.close();
    await mock.close();
  });

  const kinds = [
    { name: 'light', colorScheme: 'light', viewport: { width: 1440, height: 900 } },
    { name: 'dark', colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
    { name: 'phone', colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
    { name: 'phone-dark', colorScheme: 'dark', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  ] as const;

  for (const { name, ...options } of kinds) {
    it(name, async () => {
      const { page, faults, close } = await openPage(chrome, mock.url, options);
      const shot = async (what: string): Promise<void> => {
        await page.screenshot({ path: join(FOLDER, `${name}-${what}.png`) });
      };
      const phone = name.startsWith('phone');
      await page.goto(mock.url);
      await page.getByLabel('Access token').fill('eyJwrong.token.here');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').waitFor();
      await shot('1-signin');
      await page.goto(`${mock.url}#token=${mock.token}`);
      await page.reload();
      await page.getByText('Live', { exact: true }).waitFor();
      // Trails are seen after some seconds of walking.
      const walked = async (): Promise<number> => Number(await page.locator('.dock .check .dim').innerText());
      if (!phone) await expect.poll(walked, { timeout: 30_000 }).toBeGreaterThan(4_000);
      await shot('2-live');
      if (phone) {
        await page.getByRole('button', { name: 'Devices' }).click();
        await shot('3-devices');
      }
      await page.getByRole('grid').getByText('Bruno', { exact: false }).first().click();
      await page.getByRole('button', { name: 'History', exact: true }).click();
      await page.getByRole('region', { name: 'History' }).waitFor();
      await shot('4-selected');
      if (phone) await page.getByRole('button', { name: 'Messages' }).last().click();
      await page.getByRole('button', { name: 'Write', exact: true }).click();
      await page.getByLabel('Type of the message').fill('register_device');
      await page.getByRole('button', { name: 'Send' }).click();
      await page.getByText('may not register').first().waitFor();
      mock.say('<html>502 Bad gateway</html>');
      await page.getByText('not JSON').first().waitFor();
      await shot('5-errors');
      mock.hangUp(1012, '{"code":"restart","retry_after_ms":4000}');
      await page.getByText('Reconnecting').first().waitFor();
      await page.locator('.map[data-live=false]').waitFor({ state: 'attached' });
      if (phone) await page.getByRole('button', { name: 'Map' }).last().click();
      await shot('6-lost');
      await page.getByRole('button', { name: 'Help and keys' }).click();
      await page.getByRole('dialog').waitFor();
      await shot('7-help');
      await close();
      expect(faults).toEqual([]);
    });
  }
});
