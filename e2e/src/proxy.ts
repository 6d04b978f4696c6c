import { createServer, request as forward, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

/** Stands between page and server, and can put words into the server's mouth. */
export interface Proxy {
  readonly url: string;
  /** Sends a text to every page, as if the server had said it. */
  readonly say: (text: string) => void;
  readonly close: () => Promise<void>;
}

export async function startProxy(target: string): Promise<Proxy> {
  const to = new URL(target);
  /** The server takes pages of its own address only. */
  const headersFor = (incoming: IncomingMessage): Record<string, string | string[] | undefined> => ({
    ...incoming.headers,
    host: to.host,
    ...(incoming.headers.origin === undefined ? {} : { origin: to.origin }),
  });

  const http = createServer((incoming, outgoing) => {
    const { method, url } = incoming;
    const onward = forward(
      { host: to.hostname, port: to.port, method, path: url, headers: headersFor(incoming) },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  const pages = new WebSocketServer({ server: http });
  pages.on('connection', (page, incoming) => {
    const { cookie = '' } = incoming.headers;
    const server = new WebSocket(`ws://${to.host}${incoming.url ?? '/'}`, page.protocol === '' ? [] : [page.protocol], {
      headers: { cookie, origin: to.origin },
    });
    const early: string[] = [];
    page.on('message', (data: Buffer) => {
      if (server.readyState === WebSocket.OPEN) server.send(data.toString());
      else early.push(data.toString());
    });
    server.on('open', () => {
      for (const text of early.splice(0)) server.send(text);
    });
    server.on('message', (data: Buffer) => {
      page.send(data.toString());
    });
    server.on('close', (code, reason) => {
      if (code >= 1000 && code < 5000 && ![1004, 1005, 1006, 1015].includes(code)) page.close(code, reason);
      else page.terminate();
    });
    server.on('error', () => {
      page.terminate();
    });
    page.on('close', () => {
      server.close();
    });
  });

  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${String((http.address() as AddressInfo).port)}/`,
    say: (text) => {
      for (const page of pages.clients) page.send(text);
    },
    close: () => {
      for (const page of pages.clients) page.terminate();
      http.closeAllConnections();
      return new Promise((done) =>
        http.close(() => {
          done();
        }),
      );
    },
  };
}
