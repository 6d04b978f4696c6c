/** Where the connection stands. */
export type State =
  | 'idle'
  /** A token is fetched, a socket opens. */
  | 'connecting'
  /** The socket is open, the server has not said hello yet. */
  | 'authenticating'
  | 'online'
  /** The next attempt has its time. */
  | 'waiting'
  /** There is no network; the attempts go on when there is. */
  | 'offline'
  /** The application said so. Final. */
  | 'closed'
  /** Trying again would not help before something has changed; `connect()` starts anew. */
  | 'failed';

/** The state and what it remembers. */
export interface Machine {
  readonly state: State;
  /** Attempts since a connection was last stable. */
  readonly attempt: number;
  /** Tokens in a row that had run out, without having been online in between. */
  readonly expired: number;
  /** Whether there is a network, as far as the browser knows. */
  readonly network: boolean;
  /** Whether a fresh token can be had: not from a token that is a plain text. */
  readonly renewable: boolean;
}

/** What can happen. */
export type Input =
  /** The application wants a connection. */
  | 'connect'
  /** The application is done. */
  | 'close'
  /** The wait is over, or somebody does not want to wait. */
  | 'retry'
  | 'opened'
  /** The server wants a token. */
  | 'challenged'
  /** The server said hello. */
  | 'welcomed'
  /** The connection has been online for a while. */
  | 'stable'
  /** The socket closed, was given up, or never opened. */
  | { readonly lost: number; readonly retryAfterMs?: number | undefined }
  /** Something that trying again does not mend. */
  | 'refused'
  | { readonly network: boolean };

/** What the client has to do. */
export type Effect =
  /** Ask for a token and open a socket. */
  | { readonly dial: 'connect' | 'rejected' }
  | 'authenticate'
  | { readonly wait: number; readonly retryAfterMs: number | undefined }
  /** Let go of the socket, if there is one. */
  | 'hangUp';

/** What a close code asks for, by its range: unknown codes of a newer server are obeyed too. */
export function isFinal(code: number): boolean {
  return code === 1002 || code === 1003 || (code >= 1007 && code <= 1010) || (code >= 4500 && code <= 4999);
}

/** A token has run out: the one close code that asks for something before coming back. */
const TOKEN_EXPIRED = 4401;

/** The start. */
export function machine(renewable: boolean, network: boolean): Machine {
  return { state: 'idle', attempt: 0, expired: 0, network, renewable };
}

/** One step. Pure: no timer, no socket, no clock. */
export function step(now: Machine, input: Input): readonly [Machine, readonly Effect[]] {
  const { state } = now;
  const isUnderWay = ['connecting', 'authenticating', 'online'].includes(state);
  const to = (next: State, change?: Partial<Machine>, ...effects: Effect[]) =>
    [{ ...now, ...change, state: next }, effects] as const;
  const dial = (change?: Partial<Machine>) =>
    to('connecting', change, { dial: (change?.expired ?? now.expired) ? 'rejected' : 'connect' });
  const stay = to(state);

  if (state === 'closed') return stay;
  if (typeof input === 'object') {
    if ('network' in input) {
      const { network } = input;
      if (network && state === 'offline')
        return to('waiting', { network, attempt: now.attempt + 1 }, wait(now.attempt));
      return to(!network && state === 'waiting' ? 'offline' : state, { network });
    }
    if (!isUnderWay) return stay;
    const isExpired = input.lost === TOKEN_EXPIRED;
    const expired = now.expired + (isExpired ? 1 : 0);
    if (isFinal(input.lost) || (isExpired && (expired > 1 || !now.renewable)))
      return to('failed', { expired }, 'hangUp');
    if (!now.network) return to('offline', { expired }, 'hangUp');
    return to('waiting', { expired, attempt: now.attempt + 1 }, 'hangUp', wait(now.attempt, input.retryAfterMs));
  }
  switch (input) {
    case 'connect':
      return state === 'idle' || state === 'failed' ? dial({ attempt: 0, expired: 0 }) : stay;
    case 'close':
      return to('closed', undefined, 'hangUp');
    case 'retry':
      return state === 'waiting' || state === 'offline' ? dial() : stay;
    case 'opened':
      return state === 'connecting' ? to('authenticating') : stay;
    case 'challenged':
      return state === 'authenticating' ? to(state, undefined, 'authenticate') : stay;
    case 'welcomed':
      return isUnderWay ? to('online', { expired: 0 }) : stay;
    case 'stable':
      return state === 'online' ? to(state, { attempt: 0 }) : stay;
    case 'refused':
      return isUnderWay ? to('failed', undefined, 'hangUp') : stay;
  }
}

function wait(attempt: number, retryAfterMs?: number): Effect {
  return { wait: attempt, retryAfterMs };
}
