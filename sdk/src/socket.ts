/** What the client needs of an event of a socket. */
export interface SocketEvent {
  readonly type: string;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
}

/** What the client needs of a WebSocket: the browser's own has it, and that of `ws`. */
export interface Socket {
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
  readonly onLine?: boolean;
  addEventListener(type: NetworkEvent, listener: (event: { readonly type: string }) => void): void;
  removeEventListener(type: NetworkEvent, listener: (event: { readonly type: string }) => void): void;
}

export type NetworkEvent = 'online' | 'offline' | 'pageshow' | 'visibilitychange';

/** The window or worker that this runs in, if any. */
export function networkHere(): Network | null {
  return 'addEventListener' in globalThis ? globalThis : null;
}

/** Whether there is a network, as far as anybody knows. */
export function isOnline(network: Network | null): boolean {
  const { navigator } = globalThis as { navigator?: { onLine?: boolean } };
  return (network && (network.onLine ?? navigator?.onLine)) !== false;
}
