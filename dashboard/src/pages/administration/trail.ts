import type { AuditEntry, AuditTrail, Query } from './rest';

/** Reading the audit trail: what is asked for, page after page, and the same as a file. */

export interface Wanted {
  readonly subject: string;
  readonly action: string;
  readonly outcome: string;
  /** As the fields for a time have them: `2026-03-01T12:00`, in the reader's own time zone. */
  readonly from: string;
  readonly to: string;
}

export const EVERYTHING: Wanted = { subject: '', action: '', outcome: '', from: '', to: '' };

export const OUTCOMES = ['done', 'begun', 'forbidden', 'refused'] as const;

/** What the server leaves there; there may be others. */
export const ACTIONS = [
  'authenticate',
  'change rights',
  'close connection',
  'export history',
  'mint token',
  'read audit trail',
  'read configuration',
  'register device',
  'reload certificates',
  'reload keys',
  'remove device',
  'renew token',
  'request',
  'revoke tokens',
  'sign in',
  'sign out',
  'start server',
  'stop server',
  'take back revocation',
  'update device',
] as const;

/** A moment as the server reads it; nothing for an empty or impossible one. `end` is the end of that minute. */
export function moment(local: string, end = false): string | undefined {
  const at = local === '' ? NaN : Date.parse(local);
  if (Number.isNaN(at)) return undefined;
  return new Date(end ? at + 59_999 : at).toISOString();
}

export function queryOf(wanted: Wanted, limit: number, after?: string): Query {
  return {
    subject: wanted.subject.trim(),
    action: wanted.action.trim(),
    outcome: wanted.outcome,
    start_time: moment(wanted.from),
    end_time: moment(wanted.to, true),
    limit,
    after,
  };
}

/** The trail from the newest on: what was read of it, and whether there is more. */
export interface Read {
  readonly entries: readonly AuditEntry[];
  readonly next: string | undefined;
  /** How many pages of the server it took. */
  readonly pages: number;
}

/**
 * Reads on until there are so many entries, the end, or so many pages: what is looked for may be rare, and a page of
 * the server without any still says where the next one begins.
 */
export async function readOn(
  load: (after: string | undefined) => Promise<AuditTrail>,
  from: string | undefined,
  enough: number,
  pagesMax: number,
  told: (found: number) => void = () => undefined,
): Promise<Read> {
  const entries: AuditEntry[] = [];
  let next = from;
  let pages = 0;
  do {
    const page = await load(next);
    pages += 1;
    entries.push(...page.entries);
    next = page.next;
    told(entries.length);
  } while (next !== undefined && entries.length < enough && pages < pagesMax);
  return { entries, next, pages };
}

/** One JSON a line, as `[audit] file` writes them. */
export const asLines = (entries: readonly AuditEntry[]): string =>
  entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');

/** `audit-2026-11-22T07-05-09Z.ndjson`. */
export const linesName = (now: number): string =>
  `audit-${new Date(now).toISOString().slice(0, 19).replaceAll(':', '-')}Z.ndjson`;
