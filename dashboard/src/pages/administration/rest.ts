import { call } from '../../session';

/** What the server tells those who look after it, as docs/PROTOCOL.md has it. */

/** As many connections, tokens or revocations as the server gives at a time. */
export const SERVER_ROWS = 1_000;

export interface Ages {
  readonly p50: number;
  readonly p99: number;
}

export interface Connection {
  readonly client_id: string;
  readonly user_id: string | null;
  readonly roles: readonly string[];
  readonly endpoint: string;
  readonly address: string | null;
  readonly since: string;
  readonly subprotocol?: string;
  readonly user_agent?: string;
  readonly is_compressed: boolean;
  readonly received: number;
  readonly received_bytes: number;
  readonly sent: number;
  readonly sent_bytes: number;
  readonly replaced: number;
  readonly positions_delivered: number;
  readonly positions_dropped: number;
  readonly queued_bytes: number;
  readonly age_ms?: Ages;
  readonly added_age_ms?: Ages;
  readonly subscriptions: readonly View[];
  readonly rooms: readonly string[];
}

export interface View {
  readonly subscription: string;
  readonly mode: string;
  readonly lane: string;
  readonly max_rate_hz?: number;
  readonly devices?: number;
  readonly is_behind: boolean;
}

export interface Connections {
  readonly total: number;
  readonly at: string;
  readonly connections: readonly Connection[];
  readonly next?: string;
}

export interface Source {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly address?: string;
  readonly state: string;
  readonly since?: string;
  readonly messages?: number;
  readonly fixes: Readonly<Record<'newest' | 'late' | 'duplicate' | 'no_position' | 'refused', number>>;
  readonly malformed: Readonly<Record<string, number>>;
  readonly dropped: number;
  readonly restarts: number;
  readonly last_error?: { readonly message: string; readonly at: string; readonly remedy: string };
}

export interface Sources {
  readonly at: string;
  readonly sources: readonly Source[];
}

export interface Room {
  readonly room: string;
  readonly epoch: string;
  readonly seq: number;
  readonly member_count: number;
  readonly members: readonly { readonly client_id: string; readonly user_id?: string; readonly since: string }[];
  readonly kept: {
    readonly messages: number;
    readonly bytes: number;
    readonly from_seq?: number;
    readonly last_at?: string;
  };
}

export interface Rooms {
  readonly total: number;
  readonly rooms: readonly Room[];
  readonly next?: string;
}

export interface Token {
  readonly token_id: string;
  readonly subject: string;
  readonly roles: readonly string[];
  readonly devices?: readonly string[];
  readonly rooms?: readonly string[];
  readonly made_by: string;
  readonly made_at: string;
  readonly expires_at: string;
  readonly is_revoked: boolean;
}

/** What may be asked for in a token. */
export interface Offer {
  readonly ttl_secs_max: number;
  readonly roles: readonly { readonly name: string; readonly permissions: readonly string[] }[];
}

export interface Tokens {
  readonly total: number;
  readonly known_since: string;
  readonly offer?: Offer;
  readonly tokens: readonly Token[];
  readonly next?: string;
}

export interface TokenMade {
  readonly token: string;
  readonly token_id: string;
  readonly expires_at: string;
}

export interface Revocation {
  readonly id: string;
  readonly jti?: string;
  readonly subject?: string;
  readonly issuer?: string;
  readonly issued_before?: string;
  readonly until?: string;
  readonly made_at: string;
  readonly made_by: string;
  readonly reason: string;
}

export interface Revocations {
  readonly total: number;
  readonly revocations: readonly Revocation[];
  readonly next?: string;
}

export interface RevocationMade {
  readonly id: string;
  readonly connections_closed: number;
  readonly concerns_you: boolean;
}

export interface AuditEntry {
  readonly at: string;
  readonly seq?: number;
  readonly subject: string;
  readonly issuer?: string;
  readonly action: string;
  readonly object: string;
  readonly outcome: string;
  readonly address?: string;
  readonly hash?: string;
}

export interface AuditTrail {
  readonly entries: readonly AuditEntry[];
  readonly next?: string;
}

export interface ConfiguredValue {
  readonly key: string;
  readonly value: unknown;
  readonly origin: string;
}

export interface Configuration {
  readonly values: readonly ConfiguredValue[];
}

export type Query = Readonly<Record<string, string | number | undefined>>;

export function withQuery(path: string, query: Query): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') words.set(name, String(value));
  }
  const text = words.toString();
  return `api/v1/${path}${text === '' ? '' : `?${text}`}`;
}

export async function read<T>(path: string, query: Query, stop?: AbortSignal): Promise<T> {
  const response = await call('GET', withQuery(path, query), undefined, stop);
  return (await response.json()) as T;
}

export async function post<T>(path: string, body: object): Promise<T> {
  const response = await call('POST', withQuery(path, {}), body);
  return (await response.json()) as T;
}

export async function remove(path: string, query: Query = {}): Promise<void> {
  await call('DELETE', withQuery(path, query));
}
