import type { AnitaError } from './errors.js';
import { isFinal } from './machine.js';
import { closeMeanings, remedies } from './wire.gen.js';

/** A failure in sentences, for people. */
export interface Explanation {
  /** What happened. */
  meaning: string;
  /** What to do about it; empty where there is nothing to do. */
  remedy: string;
}

const checkServer = 'Check the address, the certificate and the network.';
const comesBack = 'The client comes back by itself.';
const tryAgain = 'Try again.';
const signIn = 'Sign in.';

/** What the client itself finds, by `kind` and `code` or by `code` alone. */
const own: Record<string, readonly [meaning: string, remedy: string]> = {
  aborted: ['The request was given up before its answer came.', ''],
  closed: ['The client is closed.', 'Make a new client.'],
  connect_timeout: ['The connection took too long.', checkServer],
  connection_lost: ['The connection was lost.', comesBack],
  disconnected: ['The connection was lost before the answer came.', tryAgain],
  no_socket: ['No WebSocket could be made.', 'Check the address; in Node 20 pass the `WebSocket` of the package `ws`.'],
  page_hidden: ['The page was put away by the browser.', 'The client comes back when the page is shown again.'],
  queue_full: ['Too much waits to be sent already.', 'Ask less at a time; `drained()` tells when there is room again.'],
  silence: ['The server is silent.', checkServer],
  token_failed: ['No token could be had.', signIn],
  unauthenticated: ['The server asks for a token.', signIn],
  unreachable: ['The server was not reached.', checkServer],
  'timeout timeout': ['The request was not answered in time.', tryAgain],
  'parse invalid_json': ['The server sent what is not JSON.', checkServer],
  'parse invalid_message': ['The server sent what is no message.', checkServer],
};

/** What a failure means, and what to do: of an error, a `close` event, or the number of a close code. */
export function explain(what: AnitaError | { readonly code: number } | number): Explanation {
  if (typeof what === 'number') return explainClose(what);
  if (typeof what.code === 'number') return explainClose(what.code);
  const { kind, code, message, details } = what as AnitaError;
  const [meaning, remedy] = (kind === 'server' ? undefined : (own[`${kind} ${code}`] ?? own[code])) ?? [];
  if (meaning !== undefined && remedy !== undefined) return { meaning: withCause(meaning, what as AnitaError), remedy };
  const number = (details as { code?: unknown } | null | undefined)?.code;
  if (kind !== 'server' && typeof number === 'number') return explainClose(number);
  return { meaning: message, remedy: Object.hasOwn(remedies, code) ? (remedies[code] ?? '') : '' };
}

/** With what the system said, if it did. */
function withCause(meaning: string, { cause }: AnitaError): string {
  return cause instanceof Error && cause.message ? `${meaning} ${cause.message}` : meaning;
}

function explainClose(code: number): Explanation {
  const meaning = closeMeanings[code] ?? `The connection was closed with the code ${code}.`;
  if (code === 4401 || code === 4509) return { meaning, remedy: 'Sign in again, or come back with a fresh token.' };
  if (isFinal(code)) return { meaning, remedy: 'The client stays away: mend the cause, then connect again.' };
  return { meaning, remedy: comesBack };
}
