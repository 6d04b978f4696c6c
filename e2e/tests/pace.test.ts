import { AnitaClient } from '@anita/client';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';

import { makeServer, missingProgram, type Server } from '../src/anita.ts';
import { missingBrowser, missingPage, openChrome, openPage, skipOrFail, type Chrome } from '../src/browser.ts';
import { live, row } from '../src/page.ts';

/** How the page asks the real program for positions, as the program tells it of its connections. */

const missing = skipOrFail(missingProgram() ?? missingBrowser() ?? missingPage());

interface View {
  readonly mode: string;
  readonly lane: string;
  readonly max_rate_hz?: number;
}

describe.skipIf(missing)('the page', () => {
  let chrome: Chrome;
  let server: Server;
  let admin: string;

  beforeAll(async () => {
    chrome = await openChrome();
    server = await makeServer('[[sources]]\nname = "hall"\ntype = "simulator"\ndevices = 20\n');
    await server.start();
    admin = await server.token('admin', '--subject', 'root');
  });
  afterAll(async () => {
    await chrome.close();
    await server.remove();
  });

  /** The views of the one user who looks. */
  async function views(): Promise<readonly View[] | undefined> {
    const headers = { authorization: `Bearer ${admin}` };
    const answer = await fetch(`${server.http}api/v1/connections`, { headers });
    const { connections } = (await answer.json()) as {
      connections: readonly { user_id: string | null; subscriptions: readonly View[] }[];
    };
    return connections.find(({ user_id: user }) => user === 'alice')?.subscriptions;
  }

  const pace = async (): Promise<string> =>
    ((await views()) ?? []).map((it) => `${it.lane} ${it.mode} ${String(it.max_rate_hz)}`).join(', ');

  /** As when another tab is shown; nothing is drawn then. */
  function show(page: Page, state: 'hidden' | 'visible'): Promise<void> {
    return page.evaluate((to) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => to === 'hidden' });
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => to });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  }

  /** The types of what came in some time. */
  async function types(socket: { readonly heard: string[] }): Promise<Set<string>> {
    socket.heard.length = 0;
    await expect.poll(() => socket.heard.length).toBeGreaterThan(20);
    return new Set(socket.heard.map((text) => (JSON.parse(text) as { type: string }).type));
  }

  it('takes all that moved in one message, as often as it draws, and seldom while nobody looks', async () => {
    const { page, faults, close } = await openPage(chrome, server.http);
    await page.goto(`${server.http}#token=${await server.token('viewer')}`);
    await live(page);
    await expect.poll(pace).toBe('newest batch 10');
    await show(page, 'hidden');
    await expect.poll(pace).toBe('newest batch 1');
    await show(page, 'visible');
    await expect.poll(pace).toBe('newest batch 10');
    await close();
    expect(faults).toEqual([]);
  });

  it('hears each position once, and still what happens to devices', async () => {
    const { page, faults, close } = await openPage(chrome, server.http);
    const socket = { heard: [] as string[] };
    const hear = (text: string | Buffer): number => socket.heard.push(text.toString());
    // The socket is the worker's: what it hears is seen by the browser alone.
    const inspector = await page.context().newCDPSession(page);
    await inspector.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
    inspector.on('Target.attachedToTarget', ({ sessionId }) => {
      void inspector.send('Target.sendMessageToTarget', {
        sessionId,
        message: JSON.stringify({ id: 1, method: 'Network.enable' }),
      });
    });
    inspector.on('Target.receivedMessageFromTarget', ({ message }) => {
      const { method, params } = JSON.parse(message) as {
        method?: string;
        params?: { response?: { payloadData?: string } };
      };
      if (method === 'Network.webSocketFrameReceived') hear(params?.response?.payloadData ?? '{}');
    });
    await page.goto(`${server.http}#token=${await server.token('viewer')}`);
    await live(page);
    await expect.poll(pace).toBe('newest batch 10');
    await expect.poll(() => types(socket), { timeout: 60_000 }).not.toContain('uwb.location');
    expect(await types(socket)).toContain('uwb.position_update');
    const id = await page.locator('.grid-row .name').first().innerText();
    const operator = new AnitaClient(server.url('/ws'), { token: await server.token('operator'), WebSocket });
    await operator.connect();
    await operator.request('update_device', { device_id: id, name: 'Cart 7' });
    operator.close();
    await row(page, 'Cart 7').waitFor();
    await close();
    expect(faults).toEqual([]);
  });
});
