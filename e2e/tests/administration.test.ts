import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';
import { WebSocket } from 'ws';

import { freePort, makeServer, missingProgram, type Server } from '../src/anita.ts';
import { violations } from '../src/axe.ts';
import { missingBrowser, openChrome, openPage, skipOrFail, type Chrome, type Watched } from '../src/browser.ts';
import { clipboard, expectFlash, live } from '../src/page.ts';

/** The pages for those who look after the server, against the real program. */

const missing = skipOrFail(missingBrowser() ?? missingProgram());

const PAGES = ['Connections', 'Sources', 'Rooms', 'Tokens', 'Audit trail', 'Configuration'] as const;
/** For what is known after some rounds of asking. */
const PATIENCE = { timeout: 60_000 };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

describe.skipIf(missing)('the administration pages', () => {
  let chrome: Chrome;
  let server: Server;
  const watched: Watched[] = [];
  const sockets: WebSocket[] = [];

  beforeAll(async () => {
    chrome = await openChrome();
    const nobody = await freePort();
    // The sockets of the other clients do not come back.
    const sources = `
[[sources]]
name = "hall"
type = "simulator"
devices = 3
[[sources]]
name = "north-gate"
type = "mqtt"
url = "mqtt://127.0.0.1:${String(nobody)}"
format = "drtls"
username = "gate"
password = "hunter2"
`;
    server = await makeServer(sources, undefined, undefined, undefined, 20);
    await server.start();
  });
  afterAll(async () => {
    await chrome.close();
    await server.remove();
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    const faults = watched.flatMap((one) => one.faults);
    for (const one of watched.splice(0)) await one.close();
    expect(faults).toEqual([]);
  });

  async function visit(token: string, options: BrowserContextOptions = {}, words = ''): Promise<Page> {
    const one = await openPage(chrome, server.http, options);
    watched.push(one);
    await one.page.goto(`${server.http}#${words}token=${token}`);
    await live(one.page);
    return one.page;
  }

  /** An administrator, with one of the pages open and what is on it. */
  async function administer(name: (typeof PAGES)[number], options: BrowserContextOptions = {}): Promise<Page> {
    const page = await visit(await server.token('admin', '--subject', 'boss'), options);
    await page.getByRole('button', { name: 'Administration' }).click();
    await open(page, name);
    return page;
  }

  async function open(page: Page, name: (typeof PAGES)[number]): Promise<void> {
    await page.getByRole('navigation', { name: 'Administration' }).getByRole('link', { name }).click();
    await page.getByRole('heading', { name, level: 2 }).waitFor();
    await page.locator('.admin-data').first().waitFor();
  }

  /** Another client; how its socket ends is known later. */
  async function connect(subject: string): Promise<{ readonly closed: Promise<number>; readonly id: string }> {
    const headers = {
      authorization: `Bearer ${await server.token('viewer', '--subject', subject)}`,
      'user-agent': 'Forklift/1.0',
    };
    const socket = new WebSocket(`${server.http.replace('http', 'ws')}ws/uwb`, ['anita.v1'], { headers });
    sockets.push(socket);
    const closed = new Promise<number>((done) => socket.once('close', done));
    const id = await new Promise<string>((done, fail) => {
      socket.once('error', fail);
      socket.on('message', (data: Buffer) => {
        const { type, payload } = JSON.parse(data.toString()) as { type: string; payload: { client_id: string } };
        if (type === 'system.connection') done(payload.client_id);
      });
    });
    return { closed, id };
  }

  const row = (page: Page, name: string): Locator => page.getByRole('row').filter({ hasText: name });

  const status = async (token: string): Promise<number> =>
    (await fetch(`${server.http}api/v1/session`, { headers: { authorization: `Bearer ${token}` } })).status;

  describe('connections', () => {
    it('are shown with what goes through them, and one is closed with a reason that the audit trail knows', async () => {
      const { closed, id } = await connect('alice');
      await connect('bert');
      const page = await administer('Connections');
      const alice = row(page, 'alice');
      await alice.getByText('Forklift/1.0').waitFor();
      await alice.getByText('viewer', { exact: true }).waitFor();
      await alice.getByText('127.0.0.1').waitFor();
      await alice.getByText('uwb', { exact: true }).waitFor();
      // The simulator moves tags: bytes go to it.
      await expect.poll(() => alice.locator('[data-column=out]').innerText(), PATIENCE).toMatch(/[1-9][\d.]* k?B\/s/);
      await row(page, 'boss').getByText('this page').waitFor();
      expect(await alice.getByText('this page').count()).toBe(0);
      expect(await alice.locator('[data-column=age]').innerText()).toBe('–');

      await page.getByLabel('Search user').fill('forklift ALI');
      await expect.poll(() => row(page, 'Forklift').count()).toBe(1);
      await alice.getByRole('button', { name: 'alice', exact: true }).click();
      const details = page.getByRole('dialog', { name: 'Connection of alice' });
      await details.getByText(id).waitFor();
      // From the first look on the ages are measured.
      await details
        .getByText(/^\d+, \d+ ms$/)
        .first()
        .waitFor(PATIENCE);
      await details.getByRole('button', { name: 'Close this connection…' }).click();
      const question = page.getByRole('dialog', { name: 'Close the connection of alice?' });
      await question.getByLabel('Reason').fill('display moved');
      await question.getByRole('button', { name: 'Close it' }).click();
      expect(await closed).toBe(4509);
      await page.getByRole('status').getByText('Closed the connection of alice from 127.0.0.1').waitFor();
      await expect.poll(() => alice.count()).toBe(0);

      await open(page, 'Audit trail');
      const entry = row(page, 'close connection').first();
      await entry.getByText(`${id}: display moved`).waitFor();
      await entry.getByText('boss').waitFor();
      await entry.getByText('Done').waitFor();
    });

    it('are in the order that somebody wants, and stand still when they are paused', async () => {
      await connect('zoe');
      const page = await administer('Connections');
      const users = (): Promise<string[]> => page.locator('[data-column=user] .admin-open').allInnerTexts();
      const head = page.getByRole('columnheader', { name: 'User' });
      await head.getByRole('button').click();
      await expect.poll(users).toEqual(['boss', 'zoe']);
      expect(await head.getAttribute('aria-sort')).toBe('ascending');
      await head.getByRole('button').click();
      await expect.poll(users).toEqual(['zoe', 'boss']);
      await page.getByRole('button', { name: 'Pause', exact: true }).first().click();
      await page.getByText(/^Paused, as of/).waitFor();
      await connect('adam');
      const before = await page.locator('[data-column=since]').allInnerTexts();
      await page.getByRole('button', { name: 'Go on' }).click();
      await expect.poll(users).toEqual(['zoe', 'boss', 'adam']);
      expect(before).toHaveLength(2);
    });

    it('say that one has ended while its details are open', async () => {
      await connect('carl');
      const page = await administer('Connections');
      await page.getByRole('button', { name: 'carl', exact: true }).click();
      await page.getByRole('dialog').getByText('Forklift/1.0').waitFor();
      sockets.at(-1)?.close();
      await page.getByRole('dialog').getByText('This connection has ended.').waitFor();
      expect(await page.getByRole('dialog').getByRole('button', { name: 'Close this connection…' }).count()).toBe(0);
    });
  });

  it('show sources with what came, and with the last error and its remedy', async () => {
    const page = await administer('Sources');
    const hall = page.locator('[data-source=hall]');
    await hall.getByText('Connected').waitFor();
    const fixes = async (): Promise<number> =>
      Number((await hall.locator('.admin-counts dd').first().innerText()).replace(',', ''));
    const before = await fixes();
    await expect.poll(fixes, PATIENCE).toBeGreaterThan(before);
    await expect.poll(() => hall.locator('.admin-figures dd').first().innerText(), PATIENCE).toMatch(/^[1-9]/);
    const gate = page.locator('[data-source=north-gate]');
    await gate.getByText(/Waits to try again|Starting/).waitFor();
    await gate.getByText(/^Last error/).waitFor();
    await gate.getByText(/Connection refused/).waitFor();
    await gate.getByText(/Check that the broker runs/).waitFor();
    await page.locator('[data-source=websocket]').getByText('Listening').waitFor();
    expect(await page.locator('.admin').innerText()).not.toContain('hunter2');
  });

  it('show rooms with their members', async () => {
    const { id } = await connect('alice');
    const page = await administer('Rooms');
    await page.getByRole('button', { name: 'uwb', exact: true }).click();
    const room = page.getByRole('dialog', { name: 'Room uwb' });
    await room.getByText(id).waitFor();
    await room.getByText('alice').waitFor();
    await page.keyboard.press('Escape');
    await page.getByLabel('Search rooms').fill('no such room');
    await page.getByText('Nothing matches the search.').waitFor();
  });

  describe('tokens', () => {
    it('are made and shown once, let in, are revoked with their sockets, and taken back', async () => {
      const page = await administer('Tokens', { permissions: ['clipboard-read', 'clipboard-write'] });
      await page.getByRole('button', { name: 'Make a token' }).click();
      const form = page.getByRole('dialog', { name: 'Make a token' });
      await form.getByRole('button', { name: 'Make it' }).click();
      await form.getByRole('alert').getByText('Say for whom it is.').waitFor();
      await form.getByLabel('For whom or what').fill('hall-display');
      await form.getByLabel('viewer').check();
      await form.getByText('Allows: devices.read, history.read, rooms.join').waitFor();
      await form.getByLabel('Valid for').fill('99999');
      await form.getByRole('button', { name: 'Make it' }).click();
      await form
        .getByRole('alert')
        .getByText(/allows at most 720 hours/)
        .waitFor();
      await form.getByLabel('Valid for').fill('2');
      await form.getByLabel('Only these devices').fill('tag-1* anchor-*');
      await form.getByRole('button', { name: 'Make it' }).click();
      const made = page.getByRole('dialog', { name: 'A token for hall-display' });
      await made.getByText('It is shown this once').waitFor();
      const token = await made.getByRole('textbox', { name: 'The token' }).innerText();
      await expectFlash(page, 'Copied', () => made.getByRole('button', { name: 'Copy the token' }).click());
      expect(await clipboard(page)).toBe(token);
      await made.getByRole('button', { name: 'I have it' }).click();
      const listed = row(page, 'hall-display');
      await listed.getByText('Valid', { exact: true }).waitFor();
      await listed.getByText('devices: tag-1* anchor-*').waitFor();
      await listed.getByText('by boss').waitFor();
      expect(await page.content()).not.toContain(token);

      const display = await visit(token);
      await display.getByText('hall-display', { exact: true }).waitFor();
      await listed.getByRole('button', { name: 'Revoke the token of hall-display' }).click();
      const question = page.getByRole('dialog', { name: 'Revoke tokens' });
      await question.getByLabel('Reason').fill('stolen');
      await question.getByRole('button', { name: 'Revoke', exact: true }).click();
      await page.getByRole('status').getByText('Revoked. 1 connection ended by it.').waitFor();
      await listed.getByText('Revoked', { exact: true }).waitFor();
      await display.getByText('Your session is over.').waitFor();
      expect(await status(token)).toBe(401);

      const inForce = page
        .getByRole('table', { name: 'Revocations in force' })
        .getByRole('row')
        .filter({ hasText: 'stolen' });
      await inForce.getByRole('button', { name: /^Take back/ }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Accept them again' }).click();
      await page
        .getByRole('status')
        .getByText(/^Taken back/)
        .waitFor();
      await listed.getByText('Valid', { exact: true }).waitFor();
      expect(await status(token)).toBe(200);

      await open(page, 'Audit trail');
      for (const action of ['mint token', 'revoke tokens', 'take back revocation']) {
        await row(page, action).first().getByText('boss').waitFor();
      }
      expect(await page.content()).not.toContain(token);
    });

    it('of one subject are revoked, later ones too where it is a ban', async () => {
      const old = await server.token('viewer', '--subject', 'mallory');
      const { closed } = await connect('mallory');
      const page = await administer('Tokens');
      await page.getByRole('button', { name: 'Revoke tokens…' }).click();
      const question = page.getByRole('dialog', { name: 'Revoke tokens' });
      await question.getByRole('button', { name: 'Revoke', exact: true }).click();
      await question.getByRole('alert').getByText('Say which tokens.').waitFor();
      await question.getByLabel('The tokens of one subject').check();
      await question.getByLabel('Subject', { exact: true }).fill('boss');
      await question.getByText('Your own token is among them').waitFor();
      await question.getByLabel('Subject', { exact: true }).fill('mallory');
      await question.getByLabel('Later ones, too: a ban').check();
      await question.getByRole('button', { name: 'Revoke', exact: true }).click();
      await page.getByText('all tokens of mallory, later ones too').waitFor();
      expect(await closed).toBe(4509);
      expect(await status(old)).toBe(401);
      expect(await status(await server.token('viewer', '--subject', 'mallory'))).toBe(401);
    });
  });

  it('show the audit trail by who, what and outcome, and save it', async () => {
    const refused = await server.token('viewer', '--subject', 'nosy');
    await fetch(`${server.http}api/v1/audit`, { headers: { authorization: `Bearer ${refused}` } });
    const page = await administer('Audit trail');
    await row(page, 'start server').waitFor();
    const entries = page.getByRole('table', { name: 'Audit trail' }).locator('tbody').getByRole('row');
    await page.getByLabel('Who').fill('nosy');
    await page.getByRole('button', { name: 'Find' }).click();
    await expect.poll(() => entries.count()).toBe(1);
    await entries.getByText('Forbidden').waitFor();
    await entries.getByText('audit.read').waitFor();
    await page.getByLabel('Outcome').selectOption('done');
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByText('No entry matches.').waitFor();
    await page.getByRole('form', { name: 'Filter' }).getByRole('button', { name: 'Clear' }).click();
    await page.getByLabel('What').fill('start server');
    await page.getByRole('button', { name: 'Find' }).click();
    await expect.poll(() => entries.count()).toBe(1);
    await page.getByLabel('To', { exact: true }).fill('2001-01-01T00:00');
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByText('No entry matches.').waitFor();
    await page.getByRole('form', { name: 'Filter' }).getByRole('button', { name: 'Clear' }).click();
    await row(page, 'start server').waitFor();

    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save as JSON lines' }).click();
    const file = await download;
    expect(file.suggestedFilename()).toMatch(/^audit-.*Z\.ndjson$/);
    await page
      .getByRole('status')
      .getByText(/^Saved \d+ entries/)
      .waitFor();
    const lines = readFileSync(await file.path(), 'utf8')
      .trimEnd()
      .split('\n');
    const saved = lines.map((line) => JSON.parse(line) as { action: string; subject: string });
    expect(saved.at(-1)).toMatchObject({ action: 'start server' });
    expect(saved.filter(({ subject }) => subject === 'nosy')).toHaveLength(1);
  });

  it('show the configuration with where each value came from, and no secret', async () => {
    const page = await administer('Configuration');
    const value = (key: string): Locator => page.locator(`[data-key="${key}"]`);
    await page.getByLabel('Search keys').fill('heartbeat interval');
    await value('heartbeat.interval_secs').getByText('20', { exact: true }).waitFor();
    await value('heartbeat.interval_secs').getByText('file').waitFor();
    await page.getByLabel('Search keys').fill('');
    await value('sources[1].password').getByText('secret, not shown').waitFor();
    expect(await page.content()).not.toContain('hunter2');
    const all = await page.locator('[data-origin=default]').count();
    expect(all).toBeGreaterThan(20);
    await page.getByLabel('Only what is not the default').check();
    await expect.poll(() => page.locator('[data-origin=default]').count()).toBe(0);
    await value('auth.issuer').waitFor();
  });

  describe('are for those who may', () => {
    it('and a viewer gets the map, by the address as well', async () => {
      const page = await visit(await server.token('viewer'), {}, 'page=audit&');
      await page.locator('.map').waitFor();
      expect(await page.getByRole('button', { name: 'Administration' }).count()).toBe(0);
      expect(await page.locator('.admin').count()).toBe(0);
    });

    it('and an operator sees the rooms alone', async () => {
      const page = await visit(await server.token('operator'));
      await page.getByRole('button', { name: 'Administration' }).click();
      await page.getByRole('heading', { name: 'Rooms' }).waitFor();
      const links = page.getByRole('navigation', { name: 'Administration' }).getByRole('link');
      expect(await links.allInnerTexts()).toEqual(['Rooms']);
    });

    it('and rights that were narrowed meanwhile become a sentence, with nothing left of what was seen', async () => {
      const { id } = await connect('alice');
      const page = await administer('Connections');
      await row(page, 'alice').waitFor();
      // Somebody signs in with less in another tab of the same browser.
      const viewer = await server.token('viewer', '--subject', 'boss');
      await page.evaluate(async (token) => {
        const headers = { 'content-type': 'application/json' };
        await fetch('/api/v1/session', { method: 'POST', headers, body: JSON.stringify({ token }) });
      }, viewer);
      const alert = page.getByRole('alert');
      await alert.getByText('You may not see or do this (any more).').waitFor();
      await alert.getByText('connections.manage').waitFor();
      await alert.getByText('forbidden').waitFor();
      expect(await page.content()).not.toContain(id);
      await alert.getByRole('button', { name: 'Try again' }).click();
      await alert.getByText('connections.manage').waitFor();
      await page.getByRole('link', { name: 'Sources' }).click();
      await alert.getByText('sources.read').waitFor();
    });

    it('and a token with patterns is told why it sees no configuration', async () => {
      const page = await visit(await server.token('admin', '--devices', 'tag-*'), {}, 'page=configuration&');
      await page
        .getByRole('alert')
        .getByText(/needs a token without patterns/)
        .waitFor();
    });
  });

  it('say that the server is away, keep what was known, and go on when it is back', async () => {
    const page = await administer('Connections');
    await row(page, 'boss').waitFor();
    await server.kill();
    await page.getByRole('alert').getByText('unreachable').waitFor();
    await page.getByText(/^Stopped after an error, as of \d/).waitFor();
    await row(page, 'boss').waitFor();
    await server.start();
    await live(page);
    await expect.poll(() => page.getByText(/^Stopped after an error/).count(), PATIENCE).toBe(0);
    await row(page, 'boss').getByText('this page').waitFor();
  });

  describe('are for everybody', () => {
    it.each(['light', 'dark'] as const)('with assistive tools, in the %s theme', async (colorScheme) => {
      await connect('alice');
      const page = await administer('Connections', { colorScheme });
      await row(page, 'alice').waitFor();
      for (const name of PAGES) {
        await open(page, name);
        expect([name, await violations(page)]).toEqual([name, []]);
      }
      await open(page, 'Connections');
      await page.getByRole('button', { name: 'alice', exact: true }).click();
      await page.getByRole('dialog').getByText('Forklift/1.0').waitFor();
      expect(await violations(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await open(page, 'Tokens');
      await page.getByRole('button', { name: 'Make a token' }).click();
      await page.getByRole('button', { name: 'Make it' }).click();
      expect(await violations(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'Revoke tokens…' }).click();
      await page.getByLabel('Everybody’s tokens until now').check();
      expect(await violations(page)).toEqual([]);
    });

    it('on a phone', async () => {
      await connect('alice');
      const page = await administer('Connections', PHONE);
      await row(page, 'alice').waitFor();
      for (const name of PAGES) {
        await open(page, name);
        const wide = await page.evaluate(() =>
          [document.documentElement, ...document.querySelectorAll('.admin-stage')].map(
            (one) => one.scrollWidth - one.clientWidth,
          ),
        );
        expect([name, ...wide]).toEqual([name, 0, 0]);
      }
      expect(await violations(page)).toEqual([]);
      await open(page, 'Connections');
      await page.getByLabel('Sort by').selectOption('User');
      await page.getByRole('button', { name: 'alice', exact: true }).tap();
      await page.getByRole('dialog').getByText('Forklift/1.0').waitFor();
      const dialog = await page.getByRole('dialog').boundingBox();
      expect(dialog?.width).toBeLessThanOrEqual(390);
    });

    it('with the keyboard alone', async () => {
      const { closed } = await connect('alice');
      const page = await administer('Connections');
      await row(page, 'alice').waitFor();
      const focused = (): Promise<string> => page.evaluate(() => document.activeElement?.textContent ?? '');
      const tabTo = async (text: string): Promise<void> => {
        for (let step = 0; step < 60 && (await focused()).trim() !== text; step += 1) await page.keyboard.press('Tab');
        expect((await focused()).trim()).toBe(text);
      };
      await page.getByRole('link', { name: 'Connections' }).focus();
      await page.keyboard.press('Tab');
      await expect.poll(focused).toBe('Sources');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Sources', level: 2 }).waitFor();
      await page.keyboard.press('Shift+Tab');
      await page.keyboard.press('Enter');
      await row(page, 'alice').waitFor();
      await tabTo('alice');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').getByText('Forklift/1.0').waitFor();
      await page.keyboard.press('Escape');
      await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
      // The focus is back where it was.
      await expect.poll(focused).toBe('alice');
      await tabTo('Close');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').getByLabel('Reason').waitFor();
      await tabTo('Close it');
      await page.keyboard.press('Enter');
      expect(await closed).toBe(4509);
    });
  });
});
