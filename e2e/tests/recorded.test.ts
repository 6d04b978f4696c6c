import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeServer, missingProgram, type Server } from '../src/anita.ts';
import { missingBrowser, openChrome, openPage, skipOrFail, type Chrome } from '../src/browser.ts';
import { GUIDE } from '../src/guide.ts';
import { missingBroker, startBroker, type Broker } from '../src/mosquitto.ts';
import { live } from '../src/page.ts';

/**
 * The main job, end to end: recorded messages of a real gateway, through a real broker, into the server, and out over
 * TLS to the guide's own example in a signed-in page.
 */

const RECORDING = join(import.meta.dirname, '../../../shared/data/pozyx-mqtt/tags.ndjson');

const missing = skipOrFail(missingBrowser() ?? missingProgram() ?? missingBroker());
// The recordings lie beside a checkout and not in it: without them this is a skip everywhere.
const unrecorded = !existsSync(RECORDING);
if (unrecorded) console.warn(`skipped: no recording at ${RECORDING}`);

describe.skipIf(missing || unrecorded)('the recorded messages of a gateway', () => {
  let chrome: Chrome;
  let broker: Broker;
  let server: Server;

  beforeAll(async () => {
    chrome = await openChrome();
    broker = await startBroker();
    server = await makeServer(`
[[sources]]
name = "hall"
type = "mqtt"
url = "mqtt://127.0.0.1:${String(broker.port)}"
format = "pozyx"
`);
    await server.start();
  });
  afterAll(async () => {
    await server.remove();
    await broker.stop();
    await chrome.close();
  });

  /** How many fixes of the source had each outcome. */
  async function outcomes(): Promise<Record<string, number>> {
    const page = await (await fetch(`${server.http}metrics`)).text();
    const lines = page.matchAll(/^anita_fixes_total\{source="hall",outcome="(\w+)"\} (\d+)/gm);
    return Object.fromEntries([...lines].map(([, outcome, count]) => [outcome ?? '', Number(count)]));
  }

  const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((all, one) => all + one, 0);

  it('reach the example of the guide in a signed-in page, over TLS', async () => {
    const ready = async (): Promise<unknown> => (await (await fetch(`${server.http}readyz`)).json()) as unknown;
    await expect.poll(ready, { timeout: 60_000 }).toMatchObject({ sources: [{ name: 'hall', state: 'connected' }] });
    const messages = readFileSync(RECORDING, 'utf8').trim().split('\n');
    expect(messages).toHaveLength(320);
    await broker.publish('tags', messages);
    await expect.poll(async () => sum(await outcomes()), { timeout: 60_000 }).toBe(320);
    const { newest = 0, late = 0, duplicate = 0, no_position: failures = 0 } = await outcomes();
    expect([newest + late + duplicate, failures]).toEqual([318, 2]);

    const https = server.http.replace('http:', 'https:');
    const { page, faults, close } = await openPage(chrome, https);
    await page.goto(`${https}#token=${await server.token('viewer')}`);
    await live(page);
    const printed = page.waitForEvent('console', {
      predicate: (message) => message.text().startsWith('UWB Devices:'),
    });
    await page.evaluate(GUIDE.replace('wss://example.com/', https.replace('https', 'wss')));
    const devices = (await (await printed).args()[1]?.jsonValue()) as { id: string; location: { x: number } }[];
    expect(devices.map((device) => device.id)).toEqual(['6934', '6938', '6952']);
    for (const { location } of devices) expect(location.x).toBeCloseTo(8.5, 0);
    expect(faults).toEqual([]);
    await close();
  });

  it('never move the live state back when older ones come again', async () => {
    const authorization = { authorization: `Bearer ${await server.token('viewer')}` };
    const state = async (): Promise<unknown[]> => {
      const answer = await fetch(`${server.http}api/v1/devices?status=connected,stale,disconnected`, {
        headers: authorization,
      });
      const { devices } = (await answer.json()) as { devices: { id: string; location: unknown; timestamp: string }[] };
      return devices.map(({ id, location, timestamp }) => ({ id, location, timestamp }));
    };
    const before = await state();
    const first = await outcomes();
    await broker.publish('tags', readFileSync(RECORDING, 'utf8').trim().split('\n').slice(0, 200));
    await expect.poll(async () => sum(await outcomes()), { timeout: 60_000 }).toBe(sum(first) + 200);
    expect(await state()).toEqual(before);
    expect((await outcomes())['newest']).toBe(first['newest']);
  });
});
