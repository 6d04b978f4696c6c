/** The REST part of the page: the session that carries the WebSocket, and the site's plan. */

import type { Bounds } from './map/camera';

export interface SessionInfo {
  readonly user_id: string;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly expires_at?: string;
  /** Where to sign out at the issuer as well, after signing out here. */
  readonly sign_out_at?: string;
  /** Of the connection that this page has. */
  readonly client_id?: string;
}

export interface Zone {
  readonly name: string;
  readonly polygon: readonly (readonly [number, number])[];
}

export interface Site {
  readonly name: string;
  readonly bounds?: Bounds;
  readonly zones: readonly Zone[];
}

export const NO_SITE: Site = { name: '', zones: [] };

/** What went wrong, in words, with what to do about it. */
export class Problem extends Error {
  readonly code: string;
  readonly remedy: string;
  /** 0 when the server could not be reached. */
  readonly status: number;
  /** When the server said that it may be asked again. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, code: string, message: string, remedy: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.remedy = remedy;
  }
}

/** What became of a sign-in at an issuer: the form has words of its own for it. */
export class SignInFailure extends Problem {}

/** Addresses are relative to the page, so that the dashboard also works below a path. */
export function address(path: string): URL {
  return new URL(path, location.origin + location.pathname.replace(/[^/]*$/, ''));
}

export function socketAddress(): string {
  const url = address('ws');
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url.href;
}

/** Takes `#token=…` out of the page's address, at once and without a trace in the history. */
export function takeTokenFromAddress(): string | undefined {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get('token');
  if (token === null) return undefined;
  fragment.delete('token');
  const rest = fragment.toString();
  history.replaceState(history.state, '', location.pathname + location.search + (rest === '' ? '' : `#${rest}`));
  return token;
}

/** Takes what became of a sign-in at an issuer out of the page's address: a word, and nothing for the history. */
export function takeFailureFromAddress(): SignInFailure | undefined {
  const query = new URLSearchParams(location.search);
  const code = query.get('sign_in_error');
  if (code === null) return undefined;
  query.delete('sign_in_error');
  const rest = query.toString();
  history.replaceState(history.state, '', location.pathname + (rest === '' ? '' : `?${rest}`) + location.hash);
  const word = /^[a-z_]{1,32}$/.test(code) ? code : 'invalid_answer';
  return new SignInFailure(401, word, 'Nobody was signed in.', 'Begin again from here.');
}

/** A token as people paste it: with `Bearer`, quotes or line breaks around and in it. */
export function tidyToken(pasted: string): string {
  return pasted
    .trim()
    .replace(/^authorization:\s*/i, '')
    .replace(/^bearer\s+/i, '')
    .replace(/[\s"'`]+/g, '');
}

export async function signIn(token: string): Promise<void> {
  await call('POST', 'api/v1/session', { token });
}

export async function signOut(): Promise<void> {
  await call('DELETE', 'api/v1/session');
}

/** The session of this browser, or `undefined` when there is none. */
export async function currentSession(): Promise<{ info: SessionInfo; serverTime: number | undefined } | undefined> {
  try {
    const response = await call('GET', 'api/v1/session');
    const date = Date.parse(response.headers.get('date') ?? '');
    const info = (await response.json()) as Partial<SessionInfo>;
    return {
      info: {
        user_id: info.user_id ?? '',
        roles: info.roles ?? [],
        permissions: info.permissions ?? [],
        ...(info.expires_at === undefined ? {} : { expires_at: info.expires_at }),
        ...(info.sign_out_at === undefined ? {} : { sign_out_at: info.sign_out_at }),
      },
      serverTime: Number.isNaN(date) ? undefined : date,
    };
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return undefined;
    throw error;
  }
}

export async function loadSite(): Promise<Site> {
  const response = await call('GET', 'api/v1/site');
  return readSite(await response.json());
}

/** A site as the server tells it; what is missing or odd is left out, so that the map shows the rest. */
export function readSite(value: unknown): Site {
  if (!isRecord(value)) return NO_SITE;
  const name = typeof value['name'] === 'string' ? value['name'] : '';
  const zones: Zone[] = [];
  for (const zone of Array.isArray(value['zones']) ? (value['zones'] as unknown[]) : []) {
    if (!isRecord(zone) || !Array.isArray(zone['polygon'])) continue;
    const polygon = (zone['polygon'] as unknown[]).filter(
      (corner): corner is [number, number] =>
        Array.isArray(corner) && Number.isFinite(corner[0]) && Number.isFinite(corner[1]),
    );
    if (polygon.length >= 3) zones.push({ name: typeof zone['name'] === 'string' ? zone['name'] : '', polygon });
  }
  const bounds = isRecord(value['bounds']) ? value['bounds'] : {};
  const { min_x: minX, min_y: minY, max_x: maxX, max_y: maxY } = bounds;
  if (!isNumber(minX) || !isNumber(minY) || !isNumber(maxX) || !isNumber(maxY)) return { name, zones };
  return { name, zones, bounds: { minX, minY, maxX, maxY } };
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Asks the server; a refusal is a `Problem`. What was called off with `signal` is the error that the signal says. A `Blob`
 * is sent as it is, everything else as JSON. The server says what may be kept, and of that it is asked whether it is still so.
 */
export async function call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address(path), {
      method,
      credentials: 'same-origin',
      cache: 'no-cache',
      headers: {
        accept: 'application/json, application/problem+json',
        ...(body === undefined || body instanceof Blob ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: body instanceof Blob ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch {
    signal?.throwIfAborted();
    throw new Problem(
      0,
      'unreachable',
      'The server does not answer.',
      'Check that it runs and that this computer reaches it; then try again.',
    );
  }
  if (response.ok) return response;
  throw await readProblem(response);
}

/** An RFC 9457 problem; a refusal without one (a proxy's page, say) still becomes a sentence. */
async function readProblem(response: Response): Promise<Problem> {
  const text = await response.text().catch(() => '');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const problem = isRecord(value) ? value : {};
  const word = (name: string): string | undefined => {
    const found = problem[name];
    return typeof found === 'string' && found !== '' ? found : undefined;
  };
  const fallback = FALLBACK[response.status] ?? [`http_${String(response.status)}`, 'The server refused.', TRY_LATER];
  return new Problem(
    response.status,
    word('code') ?? fallback[0],
    word('detail') ?? word('title') ?? fallback[1],
    word('remedy') ?? fallback[2],
    isNumber(problem['retry_after_ms']) ? problem['retry_after_ms'] : undefined,
  );
}

const TRY_LATER = 'Try again; if it stays, look into the server’s log.';
const FALLBACK: Record<number, readonly [code: string, message: string, remedy: string]> = {
  401: ['unauthenticated', 'The token was not accepted.', 'Make a new one with `anita token` and paste it whole.'],
  403: ['forbidden', 'This is not allowed from here.', 'Open the dashboard at the server’s own address.'],
  404: ['not_found', 'The server does not know this address.', 'Check that server and dashboard are of one version.'],
  429: ['rate_limited', 'Too many attempts.', 'Wait a minute, then try again.'],
};
