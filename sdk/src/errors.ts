/** Where a failure arose. */
export type ErrorKind = 'connection' | 'parse' | 'validation' | 'auth' | 'server' | 'timeout';

/** What an error may tell beside its kind, code and message. */
export interface ErrorMore {
  retryable?: boolean;
  retryAfterMs?: number | undefined;
  details?: unknown;
  cause?: unknown;
}

/** Every failure of the client: of the connection, of a message, of a request. `explain` has sentences for people. */
export class AnitaError extends Error {
  override readonly name = 'AnitaError';
  declare readonly kind: ErrorKind;
  /** A stable word: the server's own code, or one of the client's (`timeout`, `disconnected`, `queue_full`, …). */
  declare readonly code: string;
  /** Whether the same can succeed later. */
  declare readonly retryable: boolean;
  /** When to try again, where the server says. */
  declare readonly retryAfterMs: number | undefined;
  /** What a program may want to know: `path`, `permission`, `limit`, … */
  declare readonly details: unknown;

  constructor(kind: ErrorKind, code: string, message: string, more: ErrorMore = {}) {
    super(message, more);
    this.kind = kind;
    this.code = code;
    this.retryable = more.retryable ?? false;
    this.retryAfterMs = more.retryAfterMs;
    this.details = more.details;
  }
}

/** A failure that the client itself finds: in a word or two; `explain` has the sentences. */
export function fault(code: string, kind: ErrorKind = 'connection', more: ErrorMore = {}): AnitaError {
  const { cause, retryable = kind === 'timeout' } = more;
  const why = cause === undefined ? '' : ` (${messageOf(cause)})`;
  return new AnitaError(kind, code, code.replaceAll('_', ' ') + why, { ...more, retryable });
}

/** The words of something that was thrown. */
function messageOf(thrown: unknown): string {
  return (thrown as { message?: string } | null)?.message ?? JSON.stringify(thrown);
}
