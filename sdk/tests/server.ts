import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { hello, type Said } from '../src/testing.js';

/** One connection, as the script of a test sees it. */
export class Peer {
  readonly socket: WebSocket;
  readonly protocol: string;
  readonly url: string;
  readonly said: Said[] = [];
  readonly closed: Promise<number>;
  #wake = (): void => undefined;

  constructor(socket: WebSocket, url: string) {
    this.socket = socket;
    this.protocol = socket.protocol;
    this.url = url;
    this.closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      this.said.push(JSON.parse(data.toString()) as Said);
      this.#wake();
    });
  }

  tell(type: string, payload: object = {}, more: object = {}): void {
    this.socket.send(JSON.stringify({ type, payload, ...more }));
  }

  answer(said: Said, type: string, payload: object = {}): void {
    this.tell(type, payload, { id: said.id });
  }

  error(code: string, more: object = {}, id?: string): void {
    this.tell('error', { code, message: code, retryable: false, ...more }, id === undefined ? {} : { id });
  }

  close(code: number, reason?: object): void {
    this.socket.close(code, reason && JSON.stringify(reason));
  }

  /** The next message of this type that was not waited for yet. */
  async hear(type: string): Promise<Said> {
    for (;;) {
      const at = this.said.findIndex((said) => said.type === type);
      if (at >= 0) return this.said.splice(at, 1)[0]!;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** The usual beginning: asks for a token, takes any, says hello. */
  async welcome(more: object = {}): Promise<Said> {
    this.tell('system.auth_required', { auth_methods: ['authenticate'], message: 'Send a token.' });
    const said = await this.hear('authenticate');
    this.tell('system.connection', { ...hello, ...more });
    return said;
  }
}

/** A server that does what a test says, connection by connection; the last script serves all further ones. */
export class ScriptedServer {
  readonly url: string;
  readonly peers: Peer[] = [];
  readonly #server: WebSocketServer;

  private constructor(server: WebSocketServer, scripts: ((peer: Peer) => unknown)[]) {
    this.#server = server;
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws/uwb`;
    server.on('connection', (socket, request) => {
      const peer = new Peer(socket, request.url ?? '');
      const script = scripts[Math.min(this.peers.length, scripts.length - 1)]!;
      this.peers.push(peer);
      void script(peer);
    });
  }

  static async start(...scripts: ((peer: Peer) => unknown)[]): Promise<ScriptedServer> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'anita.v1' });
    await new Promise((resolve) => server.once('listening', resolve));
    return new ScriptedServer(server, scripts);
  }

  async stop(): Promise<void> {
    for (const { socket } of this.peers) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Takes TCP connections and never says a word. */
export async function startMute(): Promise<{ url: string; server: Server }> {
  const server = createServer((socket) => socket.on('error', () => undefined));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws/uwb`, server };
}
