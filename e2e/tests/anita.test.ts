import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';

import { makeServer, missingProgram, startDemo, type Demo, type Server } from '../src/anita.ts';
import { missingBrowser, openChrome, openPage, skipOrFail, type Chrome, type Watched } from '../src/browser.ts';
import { GUIDE } from '../src/guide.ts';
import { compose, expectError, expectMoving, lines, live, names, row } from '../src/page.ts';
import { startProxy, type Proxy } from '../src/proxy.ts';

/** The page against the real program. */

const missing = skipOrFail(missingBrowser() ?? missingProgram());

describe.skipIf(missing)('the dashboard of anita', () => {
  let chrome: Chrome;
  const watched: Watched[] = [];

  beforeAll(async () => {
    chrome = await openChrome();
  });
  afterAll(() => chrome.close());
  afterEach(async () => {
    const faults = watched.flatMap((one) => one.faults);
    for (const one of watched.splice(0)) await one.close();
    // No violation of the policy, no uncaught error, no request to anybody else.
    expect(faults).toEqual([]);
  });

  async function visit(origin: string): Promise<Page> {
    const one = await openPage(chrome, origin);
    watched.push(one);
    return one.page;
  }

  async function visitLive(origin: string, token: string): Promise<Page> {
    const page = await visit(origin);
    await page.goto(`${origin}#token=${token}`);
    await live(page);
    return page;
  }

  describe('in the demo', () => {
    let demo: Demo;

    beforeAll(async () => {
      demo = await startDemo();
    });
    afterAll(() => demo.kill());

    it('signs in with the printed address, and forgets the token', async () => {
      const page = await visitLive(demo.http, demo.token('viewer'));
      expect(page.url()).toBe(demo.http);
      await page.getByText('demo-viewer', { exact: true }).waitFor();
      const cookies = await page.context().cookies();
      expect(cookies).toHaveLength(1);
      expect(cookies[0]).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
      expect(await page.evaluate(() => document.cookie)).toBe('');
      await page.reload();
      await live(page);
    });

    it('signs in with the form, over TLS', async () => {
      const page = await visit(demo.https);
      await page.goto(demo.https);
      await page.getByLabel('Access token').fill(demo.token('viewer'));
      await page.getByRole('button', { name: 'Sign in' }).click();
      await live(page);
      expect(await page.context().cookies()).toMatchObject([{ secure: true, httpOnly: true }]);
    });

    it('shows tags that move, anchors, and a plan', async () => {
      const page = await visitLive(demo.http, demo.token('viewer'));
      await expect.poll(async () => (await names(page)).length).toBeGreaterThan(5);
      const first = (await names(page))[0] ?? '';
      await row(page, first).click();
      await expectMoving(page);
      await page.getByLabel('Selected device').getByRole('button', { name: 'History' }).click();
      await expect.poll(() => page.getByLabel('Selected device').locator('tbody tr').count()).toBeGreaterThan(1);
      await page.getByLabel('Search devices').fill('anchor');
      await expect.poll(async () => (await names(page)).length).toBeGreaterThan(2);
    });

    it('says what is wrong with a wrong token, and what to do', async () => {
      const page = await visit(demo.http);
      await page.goto(demo.http);
      const [head, , signature] = demo.token('viewer').split('.');
      const forged = [head, Buffer.from('{"sub":"mallory","roles":["admin"]}').toString('base64url'), signature];
      await page.getByLabel('Access token').fill(forged.join('.'));
      await page.getByRole('button', { name: 'Sign in' }).click();
      const alert = page.getByRole('alert');
      await alert.getByText('invalid_token').waitFor();
      await alert.getByText(/Get a new token/).waitFor();
      await expectError(page, 'authentication', /invalid_token/);
    });

    it('tells what the server refuses', async () => {
      const page = await visitLive(demo.http, demo.token('viewer'));
      await compose(page);
      await page.getByLabel('Type of the message').fill('register_device');
      await page.getByRole('button', { name: 'Send' }).click();
      await expectError(page, 'server', /forbidden/);
      await page.getByLabel('Type of the message').fill('no_such_thing');
      await page.getByLabel('Payload').fill('{}');
      await page.getByRole('button', { name: 'Send' }).click();
      await expectError(page, 'server', /unknown_type/);
      await page.getByLabel('Raw text').check();
      await page.getByLabel('Text to send as it is').fill('{"type":');
      await page.getByRole('button', { name: 'Send' }).click();
      await expectError(page, 'server', /invalid_json/);
      // After all of that, the connection goes on.
      await row(page, (await names(page))[0] ?? '').click();
      await expectMoving(page);
    });

    it('tells a frame that is not JSON as a parsing error', async () => {
      const proxy: Proxy = await startProxy(demo.http);
      try {
        const page = await visitLive(proxy.url, demo.token('viewer'));
        proxy.say('<html>502 Bad gateway</html>');
        await expectError(page, 'parsing', /502 Bad gateway/);
        await row(page, (await names(page))[0] ?? '').click();
        await expectMoving(page);
      } finally {
        await proxy.close();
      }
    });

    it('sends what an operator writes', async () => {
      const page = await visitLive(demo.http, demo.token('operator'));
      await compose(page);
      await page.getByLabel('Type of the message').fill('register_device');
      const payload = { device_id: 'by-hand', initial_location: { x: 3, y: 4, z: 1 } };
      await page.getByLabel('Payload').fill(JSON.stringify(payload));
      await page.getByRole('button', { name: 'Send' }).click();
      await lines(page, 'received').filter({ hasText: 'uwb.device_registered' }).first().waitFor();
      await page.getByLabel('Search devices').fill('by-hand');
      await row(page, 'by-hand').click();
      await expect
        .poll(async () => (await page.locator('[data-axis]').allInnerTexts()).join(' '))
        .toBe('3.00 4.00 1.00');
    });

    it('runs the example of the guide in a signed-in page', async () => {
      const page = await visitLive(demo.http, demo.token('viewer'));
      const said: string[] = [];
      page.on('console', (message) => said.push(message.text()));
      const printed = page.waitForEvent('console', {
        predicate: (message) => message.text().startsWith('UWB Devices:'),
      });
      await page.evaluate(GUIDE.replace('wss://example.com/', demo.http.replace('http', 'ws')));
      const devices = (await (await printed).args()[1]?.jsonValue()) as { id: string; location: unknown }[];
      expect(devices.length).toBeGreaterThan(5);
      expect(devices[0]).toMatchObject({ id: expect.any(String) as string });
      expect(said).toContain('WebSocket connection opened');
      expect(said.filter((text) => text.includes('WebSocket error'))).toEqual([]);
    });

    it('shows the form when the session was ended elsewhere', async () => {
      const page = await visitLive(demo.http, demo.token('viewer'));
      const ended = await page.evaluate(async () => (await fetch('/api/v1/session', { method: 'DELETE' })).status);
      expect(ended).toBeLessThan(300);
      await page.getByText('Your session is over.').waitFor();
      await expectError(page, 'authentication', /logged_out|unauthenticated/);
    });
  });

  describe('when the server is killed', () => {
    let server: Server;

    beforeAll(async () => {
      server = await makeServer();
      await server.start();
    });
    afterAll(() => server.remove());

    it('greys the map, counts down, and is live again by itself', async () => {
      const page = await visitLive(server.http, await server.token('operator'));
      const publisher = await server.token('publisher');
      const report = async (x: number): Promise<void> => {
        const answer = await fetch(`${server.http}api/v1/locations`, {
          method: 'POST',
          headers: { authorization: `Bearer ${publisher}`, 'content-type': 'application/json' },
          body: JSON.stringify([{ device_id: 'walker', location: { x, y: 2, z: 1 } }]),
        });
        expect(answer.status).toBe(200);
      };
      const shown = (): Promise<string> => page.locator('[data-axis=x]').innerText();
      await report(1);
      await row(page, 'walker').click();
      await expect.poll(shown).toBe('1.00');
      await report(2);
      await expect.poll(shown).toBe('2.00');

      await server.kill();
      await page.locator('.map[data-live=false]').waitFor();
      await page
        .locator('.map-banner')
        .getByText(/as of \d\d:\d\d:\d\d/)
        .waitFor();
      await page
        .locator('.link-countdown')
        .getByText(/in \d+ s/)
        .waitFor();
      await page.getByRole('button', { name: 'Try now' }).waitFor();
      await expectError(page, 'connection', /./);

      await server.start();
      await live(page);
      await report(3);
      await expect.poll(shown).toBe('3.00');
      await expect.poll(() => page.locator('.map-banner').count()).toBe(0);
    });
  });

  it('comes to the form when the token runs out', async () => {
    const server = await makeServer();
    try {
      await server.start();
      const page = await visitLive(server.http, await server.token('viewer', '--ttl', '30s'));
      // The token's leeway of 5 s is over before the socket closes.
      await page.getByText('Your session is over.').waitFor({ timeout: 90_000 });
      await expectError(page, 'authentication', /token_expired|unauthenticated/);
      await page.getByLabel('Access token').fill(await server.token('viewer'));
      await page.keyboard.press('Enter');
      await live(page);
    } finally {
      await server.remove();
    }
  });
});
