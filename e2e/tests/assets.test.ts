import { get, type IncomingHttpHeaders } from 'node:http';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeServer, missingProgram, type Server } from '../src/anita.ts';
import { missingPage, ROOT, skipOrFail } from '../src/browser.ts';

/** How the program sends the files that are in it. */

const missing = skipOrFail(missingProgram() ?? missingPage());
const SDK = join(ROOT, '../../sdk/dist/anita.js');

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Without a helping hand: nothing is decoded, and nothing is asked for that is not written here. */
function fetchPlainly(url: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((done, fail) => {
    get(url, { headers, agent: false }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => {
        done({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) });
      });
      answer.on('error', fail);
    }).on('error', fail);
  });
}

describe.skipIf(missing)('a file of the dashboard', () => {
  let server: Server;
  const built = readdirSync(join(ROOT, 'assets')).filter((name) => !/\.(br|gz)$/.test(name));
  const files = [
    { path: '', file: join(ROOT, 'index.html') },
    { path: 'sdk/anita.js', file: SDK },
    ...built.map((name) => ({ path: `assets/${name}`, file: join(ROOT, 'assets', name) })),
  ];

  beforeAll(async () => {
    server = await makeServer();
    await server.start();
  }, 60_000);
  afterAll(() => server.remove());

  it('comes as the build made it, in the smallest form that is asked for', async () => {
    expect(files.length).toBeGreaterThan(6);
    for (const { path, file } of files) {
      const content = readFileSync(file);
      const ask = (accepted?: string): Promise<Answer> =>
        fetchPlainly(server.http + path, accepted === undefined ? {} : { 'accept-encoding': accepted });

      const plain = await ask();
      expect(plain.headers['content-encoding'], path).toBeUndefined();
      expect(plain.body.equals(content), path).toBe(true);

      const brotli = await ask('gzip, deflate, br, zstd');
      expect(brotli.headers['content-encoding'], path).toBe('br');
      expect(brotliDecompressSync(brotli.body).equals(content), path).toBe(true);

      const gzip = await ask('gzip, br;q=0');
      expect(gzip.headers['content-encoding'], path).toBe('gzip');
      expect(gunzipSync(gzip.body).equals(content), path).toBe(true);

      for (const answer of [plain, brotli, gzip]) {
        expect(answer.headers.vary, path).toBe('accept-encoding');
        expect(answer.headers['content-type'], path).toBe(plain.headers['content-type']);
        expect(answer.headers['content-length'], path).toBe(String(answer.body.length));
      }
      const tags = [plain, brotli, gzip].map(({ headers }) => headers.etag);
      expect(new Set(tags).size, 'each form has a tag of its own').toBe(3);
    }
  });

  it('is not sent again to those that have it in the form that they ask for', async () => {
    const first = await fetchPlainly(server.http, { 'accept-encoding': 'br' });
    const tag = first.headers.etag ?? '';
    const again = await fetchPlainly(server.http, { 'accept-encoding': 'br', 'if-none-match': tag });
    expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, tag]);
    const otherwise = await fetchPlainly(server.http, { 'accept-encoding': 'gzip', 'if-none-match': tag });
    expect([otherwise.status, otherwise.headers['content-encoding']]).toEqual([200, 'gzip']);
  });

  it('has no second address by the name of its form', async () => {
    for (const path of [
      `assets/${built[0] ?? ''}.gz`,
      `assets/${built[0] ?? ''}.br`,
      'index.html.gz',
      'sdk/anita.js.br',
    ]) {
      expect((await fetchPlainly(server.http + path, {})).status, path).toBe(404);
    }
  });
});
