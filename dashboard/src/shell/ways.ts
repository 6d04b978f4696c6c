import { address, call } from '../session';

/** Where people can sign in instead of pasting a token. */
export interface Way {
  readonly label: string;
  /** Below where the server is. */
  readonly path: string;
}

/** What went wrong at a sign-in, as the server says it in the page's address. */
export const FAILURES = [
  'cancelled',
  'expired',
  'other_browser',
  'other_issuer',
  'issuer_unavailable',
  'issuer_refused',
  'misconfigured',
  'bad_token',
  'no_rights',
  'revoked',
  'rate_limited',
  'busy',
  'invalid_answer',
] as const;
export type Failure = (typeof FAILURES)[number];

/** A server that does not say in this time has no ways: the form is not kept waiting. */
const WAYS_MS = 3_000;

/** The ways that the server offers; none where it does not answer, for then the token form says so. */
export async function loadWays(): Promise<readonly Way[]> {
  try {
    const response = await call('GET', 'api/v1/page', undefined, AbortSignal.timeout(WAYS_MS));
    return readWays(await response.json());
  } catch {
    return [];
  }
}

/** The ways among what `/api/v1/page` says; those that this page does not know are left out. */
export function readWays(page: unknown): readonly Way[] {
  const list = (page as { sign_in?: unknown } | null)?.sign_in;
  const ways: Way[] = [];
  for (const one of Array.isArray(list) ? (list as unknown[]) : []) {
    const { method, label, address: path } = (one ?? {}) as Record<string, unknown>;
    // Only what is below the server: never the address of somebody else.
    const isPath = typeof path === 'string' && /^\/[a-z0-9]/.test(path);
    if (method === 'oidc' && typeof label === 'string' && isPath) ways.push({ label, path });
  }
  return ways;
}

/** Where the browser goes to sign in and come back to what it shows now. */
export function wayAddress(way: Way): string {
  const url = address(way.path.slice(1));
  url.searchParams.set('return', location.pathname + location.search + location.hash);
  return url.href;
}
