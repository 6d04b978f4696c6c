import type { Socket, SocketEvent, WebSocketConstructor } from '@anita/client';

import type { FromRelay, ToRelay } from './messages';
import relayAddress from './relay.worker?worker&url';

type EventName = 'open' | 'message' | 'close' | 'error';
type Listener = (event: SocketEvent) => void;

/** How many positions were replaced by newer ones before the page saw them. */
export type OnReplaced = (count: number) => void;

/**
 * Sockets whose frames come through the relay. It is started once and kept: a page that stays open while the server is
 * replaced by a newer one could not load it again. Where it cannot be started at all, the sockets are ordinary ones.
 */
export function relayedSockets(onReplaced: OnReplaced): WebSocketConstructor {
  const relay = Relay.start(onReplaced);
  if (relay === undefined) return WebSocket;
  // A function that gives an object is as good a constructor as a class.
  const open = function (url: string, protocols: string): Socket {
    return relay.isBroken ? new WebSocket(url, protocols) : relay.open(url, protocols);
  };
  return open as unknown as WebSocketConstructor;
}

class Relay {
  /** The thread is there but does not run our program. */
  isBroken = false;
  readonly #worker: Worker;
  readonly #onReplaced: OnReplaced;
  readonly #sockets = new Map<number, RelayedSocket>();
  #lastId = 0;

  static start(onReplaced: OnReplaced): Relay | undefined {
    try {
      return new Relay(new Worker(trusted(relayAddress), { type: 'module', name: 'anita relay' }), onReplaced);
    } catch {
      return undefined;
    }
  }

  private constructor(worker: Worker, onReplaced: OnReplaced) {
    this.#worker = worker;
    this.#onReplaced = onReplaced;
    worker.addEventListener('message', ({ data }: MessageEvent<FromRelay>) => {
      this.#hear(data);
    });
    worker.addEventListener('error', () => {
      this.isBroken = true;
      for (const socket of [...this.#sockets.values()]) socket.emit({ type: 'close', code: 1006, reason: '' });
      this.#sockets.clear();
    });
  }

  open(url: string, protocols: string): Socket {
    this.#lastId += 1;
    const id = this.#lastId;
    const socket = new RelayedSocket(id, (message) => {
      if (message.type === 'drop') this.#sockets.delete(id);
      this.#worker.postMessage(message);
    });
    this.#sockets.set(id, socket);
    this.#worker.postMessage({ type: 'open', socket: id, url, protocols } satisfies ToRelay);
    return socket;
  }

  #hear(message: FromRelay): void {
    if (message.type === 'ready') return;
    const socket = this.#sockets.get(message.socket);
    switch (message.type) {
      case 'opened':
        socket?.emit({ type: 'open' });
        break;
      case 'frames':
        if (message.replaced > 0) this.#onReplaced(message.replaced);
        for (const data of message.frames) socket?.emit({ type: 'message', data });
        this.#worker.postMessage({ type: 'done', socket: message.socket } satisfies ToRelay);
        break;
      case 'closed':
        this.#sockets.delete(message.socket);
        socket?.emit({ type: 'close', code: message.code, reason: message.reason });
    }
  }
}

class RelayedSocket implements Socket {
  readonly #id: number;
  readonly #tell: (message: ToRelay) => void;
  readonly #listeners: Record<EventName, Listener[]> = { open: [], message: [], close: [], error: [] };

  constructor(id: number, tell: (message: ToRelay) => void) {
    this.#id = id;
    this.#tell = tell;
  }

  send(text: string): void {
    this.#tell({ type: 'send', socket: this.#id, text });
  }

  close(code?: number): void {
    this.#tell({ type: 'close', socket: this.#id, code });
  }

  terminate(): void {
    this.#tell({ type: 'drop', socket: this.#id });
  }

  addEventListener(type: EventName, listener: Listener): void {
    this.#listeners[type].push(listener);
  }

  emit(event: SocketEvent & { readonly type: EventName }): void {
    for (const listener of this.#listeners[event.type]) listener(event);
  }
}

interface Policies {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): URL };
}

/** The page runs no script whose address is not trusted by name; this one is built with the page. */
function trusted(url: string): URL | string {
  const { trustedTypes } = globalThis as { trustedTypes?: Policies };
  return trustedTypes?.createPolicy('anita-relay', { createScriptURL: (own) => own }).createScriptURL(url) ?? url;
}
