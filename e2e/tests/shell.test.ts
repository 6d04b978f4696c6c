import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BrowserContextOptions, Page } from 'playwright-core';

import type { Mock } from '../../dashboard/dev/mock.ts';
import { makeServer, missingProgram, type Server } from '../src/anita.ts';
import { violations } from '../src/axe.ts';
import { missingBrowser, missingPage, skipOrFail } from '../src/browser.ts';
import { clipboard, compose, goByKeys, lines, names } from '../src/page.ts';
import { useVisits } from '../src/visits.ts';

/** What is around the map: the log, messages by hand, the link, saved views, keys; and the first minute of a server. */

const PHONE: BrowserContextOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const missing = skipOrFail(missingBrowser() ?? missingPage());

describe.skipIf(missing)('around the map', () => {
  const { serve, visit } = useVisits();

  async function visitMock(options: BrowserContextOptions = {}): Promise<{ page: Page; mock: Mock }> {
    const mock = await serve();
    return { page: await visit(mock, {}, options), mock };
  }

  const payload = (page: Page): ReturnType<Page['getByLabel']> => page.getByLabel('Payload');

  describe('the message log', () => {
    it('warns of what was handled, and shows warnings alone', async () => {
      const { page, mock } = await visitMock();
      mock.say('{"type":"system.pace","payload":{"dropped":1204,"age_ms":860}}');
      await lines(page, 'warning').getByText('1,204 were left out').waitFor();
      await page
        .locator('.dock')
        .getByRole('button', { name: /^Warnings/ })
        .click();
      await expect.poll(() => page.locator('.line').count()).toBe(1);
    });

    it('saves what it shows as JSON lines, with the code, the request and the remedy, and without a token', async () => {
      const { page, mock } = await visitMock();
      await compose(page);
      await page.getByLabel('Type of the message').fill('register_device');
      await page.getByRole('button', { name: 'Send' }).click();
      await lines(page, 'error').first().waitFor();
      await page.getByLabel('Raw text').check();
      const secret = JSON.stringify({ type: 'authenticate', payload: { token: mock.token } });
      await page.getByLabel('Text to send as it is').fill(secret);
      await page.getByRole('button', { name: 'Send' }).click();
      await lines(page, 'sent').getByText('authenticate', { exact: true }).waitFor();
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: 'Save the shown messages as JSON lines' }).click(),
      ]);
      expect(download.suggestedFilename()).toMatch(/^messages-.*\.jsonl$/);
      const text = readFileSync(await download.path(), 'utf8');
      expect(text).not.toContain(mock.token.split('.')[1]);
      const saved = text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(saved.find(({ level, type }) => level === 'error' && type === 'forbidden')).toMatchObject({
        fault: 'server',
        message: 'The role viewer may not register devices.',
        remedy: expect.stringContaining('Ask for a token') as string,
        request_id: expect.stringMatching(/\d/) as string,
        retries: false,
      });
      expect(saved.find(({ type }) => type === 'authenticate')?.['frame']).toContain('[redacted]');
    });

    it('copies one line', async () => {
      const { page } = await visitMock({ permissions: ['clipboard-read', 'clipboard-write'] });
      const hello = lines(page, 'received').filter({ hasText: 'system.connection' });
      await hello.hover();
      await hello.getByRole('button', { name: 'Copy this line' }).click();
      await expect.poll(() => clipboard(page)).toContain('heartbeat_interval_secs');
      expect(await clipboard(page)).not.toContain('\n');
    });

    it('speaks the reader’s language, lines that are there already as well', async () => {
      const { page, mock } = await visitMock();
      mock.say('no json');
      await lines(page, 'error').getByText('The server sent what is not JSON.').waitFor();
      await page.getByRole('button', { name: 'Appearance and language' }).click();
      await page.locator('.settings-menu select').nth(1).selectOption('de');
      await lines(page, 'error').getByText('Der Server schickte etwas, das kein JSON ist.').waitFor();
      await lines(page, 'error').getByText('Was tun:').waitFor();
      await lines(page, 'note').getByText('Verbunden.').waitFor();
    });
  });

  describe('a message by hand', () => {
    it('is completed from the schema, with the keyboard alone', async () => {
      const { page } = await visitMock();
      await compose(page);
      await page.getByLabel('Type of the message').fill('get_active_devices');
      await payload(page).fill('');
      await payload(page).pressSequentially('{"ki');
      await page.getByRole('option', { name: /kinds/ }).waitFor();
      await page.keyboard.press('Enter');
      await expect.poll(() => payload(page).inputValue()).toBe('{"kinds": ');
      await page.keyboard.type('["');
      await page.getByRole('option', { name: /anchor/ }).waitFor();
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Tab');
      await expect.poll(() => payload(page).inputValue()).toBe('{"kinds": ["anchor"');
      await page.keyboard.type(']}');
      await page.keyboard.press('Control+Enter');
      await page.getByText(/Answered after \d+ ms/).waitFor();
      await page.getByRole('region', { name: 'Answer' }).getByText('"devices"').waitFor();
    });

    it('is completed when its schema comes later than what is typed', async () => {
      const { page } = await visitMock();
      let release = (): void => undefined;
      const isWanted = new Promise<void>((resolve) => (release = resolve));
      await page.route('**/schema/register_device.json', async (route) => {
        await isWanted;
        await route.continue();
      });
      await compose(page);
      const asked = page.waitForRequest('**/schema/register_device.json');
      await page.getByLabel('Type of the message').fill('register_device');
      await asked;
      await payload(page).fill('');
      await payload(page).pressSequentially('{"ki');
      expect(await page.getByRole('listbox').count()).toBe(0);
      release();
      await page.getByRole('option', { name: /kind/ }).waitFor();
      await page.keyboard.press('Enter');
      await expect.poll(() => payload(page).inputValue()).toBe('{"kind": ');
    });

    it('is checked against the schema before it is sent, and says the place', async () => {
      const { page, mock } = await visitMock();
      await compose(page);
      await page.getByLabel('Type of the message').fill('register_device');
      await expect.poll(() => payload(page).inputValue()).toContain('tag-99');
      await payload(page).fill('');
      await payload(page).pressSequentially('{"ki');
      await page.getByRole('option', { name: /kind/ }).waitFor();
      await page.keyboard.press('Escape');
      await payload(page).fill('{\n  "device_id": "a",\n  "kind": "tagg"\n}');
      const alert = page.getByRole('alert');
      await expect
        .poll(async () => {
          await page.getByRole('button', { name: 'Send' }).click();
          return alert.allInnerTexts();
        })
        .toEqual(['Line 3, column 11, kind: should be one of tag, anchor, gateway.']);
      const selected = await payload(page).evaluate((area) => {
        const { value, selectionStart, selectionEnd } = area as HTMLTextAreaElement;
        return value.slice(selectionStart, selectionEnd);
      });
      expect(selected).toBe('"tagg"');
      await page.getByLabel('Type of the message').fill('register_devices');
      await page.getByRole('button', { name: 'Send' }).click();
      await alert.getByText('Did you mean register_device?').waitFor();
      expect(mock.heard.filter((text) => text.includes('register'))).toEqual([]);
    });

    it('comes back with the arrow up', async () => {
      const { page, mock } = await visitMock();
      await compose(page);
      for (const limit of [3, 4]) {
        await payload(page).fill(`{"limit": ${String(limit)}}`);
        await page.keyboard.press('Control+Enter');
        const isLimited = (text: string): boolean => new RegExp(`"limit": ?${String(limit)}}`).test(text);
        await expect.poll(() => mock.heard.some(isLimited)).toBe(true);
      }
      await page.getByText(/Answered after/).waitFor();
      await payload(page).fill('{}');
      for (const [key, text] of [
        ['ArrowUp', '{"limit": 4}'],
        ['ArrowUp', '{"limit": 3}'],
        ['ArrowDown', '{"limit": 4}'],
        ['ArrowDown', '{}'],
      ] as const) {
        await page.keyboard.press(key);
        await expect.poll(() => payload(page).inputValue()).toBe(text);
      }
    });
  });

  describe('the link', () => {
    it('tells its details: state, last close with the remedy, traffic, server, and lines with words', async () => {
      const { page, mock } = await visitMock();
      mock.hangUp(1012, '{"code":"restart","retry_after_ms":100}');
      await lines(page, 'note').getByText('Connected again.').waitFor();
      await page.locator('button.link-state').click();
      const details = page.getByRole('group', { name: 'Details of the connection' });
      await details.getByText(/Live, since \d\d:/).waitFor();
      await details.getByText('1012').waitFor();
      await details.getByText('The server restarts.').waitFor();
      await details.getByText('WebSocket, unencrypted').waitFor();
      await details.getByText('0.1.0').waitFor();
      await details
        .getByRole('img', { name: /Messages a second over the last two minutes: now \d+, at most [1-9]/ })
        .waitFor();
      await page.keyboard.press('Escape');
      await expect.poll(() => details.count()).toBe(0);
    });
  });

  describe('saved views', () => {
    it('are kept over a reload, opened, renamed, handed on and removed', async () => {
      const { page } = await visitMock({ permissions: ['clipboard-read', 'clipboard-write'] });
      const menu = page.getByRole('button', { name: 'Appearance and language' });
      await page.getByLabel('Search devices').fill('forklift');
      await expect.poll(() => page.url()).toContain('q=forklift');
      await menu.click();
      const views = page.getByRole('region', { name: 'Saved views' });
      await views.getByLabel('Name of this view').fill('Forklifts');
      await page.keyboard.press('Enter');
      await views.getByText('“Forklifts” is saved in this browser.').waitFor();
      await page.keyboard.press('Escape');
      await page.getByLabel('Search devices').fill('');
      await expect.poll(() => page.url()).not.toContain('forklift');
      await page.reload();
      await menu.click();
      await views.getByRole('button', { name: 'Copy link to Forklifts' }).click();
      await expect.poll(() => clipboard(page)).toMatch(/\/#q=forklift$/);
      expect(await views.getByRole('link', { name: 'Forklifts as a wall display' }).getAttribute('href')).toMatch(
        /\?kiosk=1#q=forklift$/,
      );
      await views.getByRole('button', { name: 'Rename Forklifts' }).click();
      await views.getByLabel('New name of Forklifts').fill('Trucks');
      await page.keyboard.press('Enter');
      await views.getByRole('button', { name: 'Trucks', exact: true }).click();
      await expect.poll(() => page.getByLabel('Search devices').inputValue()).toBe('forklift');
      await menu.click();
      await views.getByRole('button', { name: 'Delete Trucks' }).click();
      await views.getByText('can be kept here').waitFor();
    });
  });

  it.each(['light', 'dark'] as const)('everything that opens is accessible in the %s theme', async (colorScheme) => {
    const { page, mock } = await visitMock({ colorScheme });
    mock.say('{"type":"system.pace","payload":{"dropped":1204,"age_ms":860}}');
    await lines(page, 'warning').first().waitFor();
    await page.locator('button.link-state').click();
    await page.getByRole('group', { name: 'Details of the connection' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Appearance and language' }).click();
    await page.getByLabel('Name of this view').fill('All');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Rename All' }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await compose(page);
    await page.getByLabel('Type of the message').fill('subscribe');
    await payload(page).fill('');
    await payload(page).pressSequentially('{"');
    await page.getByRole('listbox').waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await payload(page).fill('{"modes": 1}');
    await expect
      .poll(async () => {
        await page.keyboard.press('Control+Enter');
        return page.getByRole('alert').allInnerTexts();
      })
      .toEqual([expect.stringContaining('there is no field modes here')]);
    expect(await violations(page)).toEqual([]);
  });
});

describe.skipIf(skipOrFail(missingBrowser() ?? missingProgram()))('the first minute of a server', () => {
  const visits = useVisits();
  let server: Server;

  // What one test reports is nothing that the next one begins with.
  beforeEach(async () => {
    server = await makeServer();
    await server.start();
  });
  afterEach(() => server.remove());

  const visit = async (role: string, options: BrowserContextOptions = {}): Promise<Page> =>
    visits.visit({ url: server.http, token: await server.token(role) }, {}, options);

  it('leads from the empty map to a test tag on it, and back', async () => {
    const page = await visit('operator');
    await page.locator('.map-banner').getByRole('button', { name: 'Show how to connect' }).click();
    await page.getByText('Waiting for the first location…').waitFor();
    await page.getByRole('button', { name: 'Send a test fix' }).click();
    await page
      .getByText(/test-[0-9a-f]{4}/)
      .first()
      .waitFor();
    await page.getByText(/came back after \d+ ms and is on the map/).waitFor();
    await page.getByText('1 device reports.').waitFor();
    await expect.poll(() => page.url()).toContain('page=connect');
    await page.getByRole('button', { name: 'Move it a metre' }).click();
    await page.getByText(/came back after/).waitFor();
    await page.getByRole('button', { name: 'Show it on the map' }).click();
    await page
      .getByLabel('Selected device')
      .getByRole('heading', { name: /^test-/ })
      .waitFor();
    await expect.poll(() => page.url()).toContain('device=test-');
    await page.goBack();
    await page.locator('.connect').waitFor();
    // The page of its own made the tag; another one removes it by hand.
    await page.goForward();
    await page.getByLabel('Selected device').getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('button', { name: 'Remove for good' }).click();
    await page.locator('.map-banner').getByText('No devices yet.').waitFor();
  });

  it('takes the test tag away again', async () => {
    const page = await visit('operator');
    await page.goto(`${server.http}#page=connect`);
    await page.getByRole('button', { name: 'Send a test fix' }).click();
    await page.getByText(/came back after/).waitFor();
    await page.getByRole('button', { name: 'Remove the test tag' }).click();
    await page.getByText(/is removed, with its history/).waitFor();
    await page.getByText('Waiting for the first location…').waitFor();
  });

  it('gives what was filled in to the clipboard', async () => {
    const page = await visit('operator', { permissions: ['clipboard-read', 'clipboard-write'] });
    await page.goto(`${server.http}#page=connect`);
    await page.getByLabel('Its address').fill('mqtt://broker.example');
    await page.getByRole('button', { name: 'Copy the text for MQTT, Qorvo DRTLS' }).click();
    await expect
      .poll(() => clipboard(page))
      .toContain('[[sources]]\nname = "hall"\ntype = "mqtt"\nurl = "mqtt://broker.example"');
    await page.getByRole('button', { name: 'HTTP', exact: true }).click();
    await page.getByText(`${server.http}api/v1/locations`).waitFor();
  });

  it('is for those who may do something about it', async () => {
    const page = await visit('viewer');
    await page.locator('.map-banner').getByText('No devices yet.').waitFor();
    expect(await page.getByRole('button', { name: 'Show how to connect' }).count()).toBe(0);
    const publisher = await visit('publisher');
    await goByKeys(publisher, 'c', 'Connect');
    await publisher.getByRole('button', { name: 'Send a test fix' }).click();
    await publisher.getByText('The server took it. Your role does not list devices').waitFor();
    await expect.poll(async () => (await names(page)).length).toBe(1);
  });

  it('goes from section to section with the keyboard alone', async () => {
    const page = await visit('admin');
    for (const [key, name] of [
      ['h', 'History'],
      ['c', 'Connect'],
      ['a', 'Administration'],
      ['l', 'Live'],
    ] as const) {
      await goByKeys(page, key, name);
    }
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('to the page that shows how to connect').waitFor();
  });

  it.each(['light', 'dark'] as const)('is accessible in the %s theme, and fits a phone', async (colorScheme) => {
    const page = await visit('operator', { ...PHONE, colorScheme });
    await page.goto(`${server.http}#page=connect`);
    for (const way of ['MQTT, Qorvo DRTLS', 'Python']) {
      await page.getByRole('button', { name: way, exact: true }).tap();
      await page.getByRole('heading', { name: way }).waitFor();
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
      expect(await violations(page)).toEqual([]);
    }
    await page.getByRole('navigation', { name: 'Views' }).getByRole('button', { name: 'Map' }).tap();
    await page.locator('.map').waitFor();
  });
});
