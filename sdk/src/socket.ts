/** What the client needs of an event of a socket. */
export interface SocketEvent {
  readonly type: string;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
}

/** What the client needs of a WebSocket: the browser's own has it, and that of `ws`. */
export interface Socket {
  /** Bytes that were sent and are not on their way yet. */
  readonly bufferedAmount?: number;
  send(text: string): void;
  close(code?: number): void;
  /** Where there is one, a socket whose peer is gone is let go at once. */
  terminate?(): void;
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: SocketEvent) => void): void;
}

/** A class of such sockets. */
export type WebSocketConstructor = new (url: string, protocols: string) => Socket;

/** What tells of the network and the page: a window, or something like it. */
export interface Network {
  readonly navigator?: { readonly onLine?: boolean };
  addEventListener(type: NetworkEvent, listener: (event: PageEvent) => void): void;
  removeEventListener(type: NetworkEvent, listener: (event: PageEvent) => void): void;
}

/** What they tell; `persisted`: the page goes to the back/forward cache, or comes from there. */
export interface PageEvent {
  readonly type: string;
  readonly persisted?: boolean;
}

export const networkEvents = ['online', 'offline', 'pagehide', 'pageshow', 'visibilitychange'] as const;

export type NetworkEvent = (typeof networkEvents)[number];
