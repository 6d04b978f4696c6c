/** What the page and its relay tell each other; `socket` says which of the sockets it is about. */

export type ToRelay =
  | { readonly type: 'open'; readonly socket: number; readonly url: string; readonly protocols: string }
  | { readonly type: 'send'; readonly socket: number; readonly text: string }
  | { readonly type: 'close'; readonly socket: number; readonly code: number | undefined }
  /** Forgets the socket at once. */
  | { readonly type: 'drop'; readonly socket: number }
  /** The page has worked through the frames it was given. */
  | { readonly type: 'done'; readonly socket: number };

export type FromRelay =
  | { readonly type: 'ready' }
  | { readonly type: 'opened'; readonly socket: number }
  | { readonly type: 'frames'; readonly socket: number; readonly frames: readonly unknown[]; readonly replaced: number }
  | { readonly type: 'closed'; readonly socket: number; readonly code: number; readonly reason: string };
