import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** An application's own site: its pages and scripts, the client, and the place where a signed-in user gets a token. */
export interface Site {
  readonly origin: string;
  /** Why a token was asked for, each time. */
  readonly asks: string[];
  readonly close: () => Promise<void>;
}

const HERE = import.meta.dirname;
const CLIENT = join(HERE, '../../../sdk/dist/anita.js');

/** `pages` and scripts are named by their paths; what else is asked for is a script of this folder. */
export async function startSite(token: () => Promise<string>, pages: Record<string, string> = {}): Promise<Site> {
  const asks: string[] = [];
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://site');
    const answer = (type: string, text: string | Buffer): void => {
      response.writeHead(200, { 'content-type': type }).end(text);
    };
    const page = pages[pathname];
    if (pathname === '/token') {
      asks.push(search.slice(1));
      token().then(
        (text) => {
          answer('text/plain', text);
        },
        () => response.writeHead(500).end(),
      );
    } else if (page !== undefined) answer(pathname.endsWith('.mjs') ? 'text/javascript' : 'text/html', page);
    else if (pathname === '/sdk/anita.js') answer('text/javascript', readFileSync(CLIENT));
    else if (/^\/\w+\.mjs$/.test(pathname)) answer('text/javascript', readFileSync(join(HERE, pathname)));
    else response.writeHead(404).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asks,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections();
        server.close(() => {
          done();
        });
      }),
  };
}
