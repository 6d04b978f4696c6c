import type { Socket, SocketEvent } from '../src/index.js';
import { hello, type Said } from './server.js';

type Type = 'open' | 'message' | 'close' | 'error';

/** A socket without a network, for tests with a clock of their own. */
export class FakeSocket implements Socket {
  static all: FakeSocket[] = [];
  static get last(): FakeSocket {
    return FakeSocket.all.at(-1)!;
  }

  readonly said: Said[] = [];
  closedWith: number | undefined;
  readonly #listeners: [Type, (event: SocketEvent) => void][] = [];

  readonly url: string;
  readonly protocol: string;

  constructor(url: string, protocol: string) {
    this.url = url;
    this.protocol = protocol;
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.said.push(JSON.parse(text) as Said);
  }

  close(code = 1000): void {
    this.closedWith = code;
  }

  addEventListener(type: Type, listener: (event: SocketEvent) => void): void {
    this.#listeners.push([type, listener]);
  }

  fire(type: Type, event: Omit<SocketEvent, 'type'> = {}): void {
    for (const [its, listener] of this.#listeners) if (its === type) listener({ type, ...event });
  }

  tell(type: string, payload: object = {}, more: object = {}): void {
    this.fire('message', { data: JSON.stringify({ type, payload, ...more }) });
  }

  welcome(more: object = {}): void {
    this.fire('open');
    this.tell('system.connection', { ...hello, ...more });
  }

  heard(type: string): Said[] {
    return this.said.filter((said) => said.type === type);
  }
}
