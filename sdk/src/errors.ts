import { errorCodes } from './wire.gen.js';

/** Where a failure arose. */
export type ErrorKind = 'connection' | 'parse' | 'validation' | 'auth' | 'server' | 'timeout';

/** What an error may tell beside its kind, code and message. */
export interface ErrorMore {
  retryable?: boolean;
  retryAfterMs?: number | undefined;
  remedy?: string | undefined;
  details?: unknown;
  cause?: unknown;
}

/** Every failure of the client: of the connection, of a message, of a request. */
export class AnitaError extends Error {
  override readonly name = 'AnitaError';
  readonly kind: ErrorKind;
  /** A stable word: the server's own code, or one of the client's (`timeout`, `disconnected`, `queue_full`, …). */
  readonly code: string;
  /** Whether the same can succeed later. */
  readonly retryable: boolean;
  /** When to try again, where the server says. */
  readonly retryAfterMs: number | undefined;
  /** What a program may want to know: `path`, `permission`, `limit`, … */
  readonly details: unknown;
  /** What to do about it, one sentence for people. */
  readonly remedy: string;

  constructor(kind: ErrorKind, code: string, message: string, more: ErrorMore = {}) {
    super(message, 'cause' in more ? { cause: more.cause } : undefined);
    this.kind = kind;
    this.code = code;
    this.retryable = more.retryable ?? errorCodes[code]?.retryable ?? false;
    this.retryAfterMs = more.retryAfterMs;
    this.details = more.details;
    this.remedy = more.remedy ?? errorCodes[code]?.remedy ?? '';
  }
}

const authCodes = new Set(['unauthenticated', 'invalid_token', 'token_expired']);

/** The kind of an error that the server named by a code: of the token, or anything else. */
export function kindOf(code: string): 'auth' | 'server' {
  return authCodes.has(code) ? 'auth' : 'server';
}

/** What to do where nothing is wrong with the client. */
export const CHECK_SERVER = 'Check the address, the certificate and the network.';

/** The words of something that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
