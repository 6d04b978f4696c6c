import type { Offer } from './rest';

/** The tokens that are asked for, and those that are taken back: from what people write to what the server reads. */

export const UNIT_SECS = { minutes: 60, hours: 3_600, days: 86_400 } as const;
export type Unit = keyof typeof UNIT_SECS;
export const UNITS = Object.keys(UNIT_SECS) as readonly Unit[];

export interface Wish {
  readonly subject: string;
  readonly roles: readonly string[];
  readonly amount: string;
  readonly unit: Unit;
  readonly devices: string;
  readonly rooms: string;
}

export const FRESH_WISH: Wish = { subject: '', roles: [], amount: '8', unit: 'hours', devices: '', rooms: '' };

/** Patterns as people write them: between spaces, commas or lines. Commas in `{a,b}` belong to the pattern. */
export function patternsOf(text: string): readonly string[] | undefined {
  const found = text.match(/(?:\{[^{}]*\}|[^\s,])+/g);
  return found === null ? undefined : [...found];
}

export function ttlSecs(wish: Wish): number | undefined {
  const amount = Number(wish.amount.trim().replace(',', '.'));
  const seconds = Math.round(amount * UNIT_SECS[wish.unit]);
  return wish.amount.trim() !== '' && Number.isFinite(seconds) && seconds >= 1 ? seconds : undefined;
}

export type Lack = 'subject' | 'roles' | 'ttl' | 'ttlMost';

/** What is missing before it can be asked for; nothing when it can. */
export function lackOf(wish: Wish, offer: Offer): Lack | undefined {
  if (wish.subject.trim() === '') return 'subject';
  if (wish.roles.length === 0) return 'roles';
  const seconds = ttlSecs(wish);
  if (seconds === undefined) return 'ttl';
  return seconds > offer.ttl_secs_max ? 'ttlMost' : undefined;
}

export function mintBody(wish: Wish): object {
  const [devices, rooms] = [patternsOf(wish.devices), patternsOf(wish.rooms)];
  return {
    subject: wish.subject.trim(),
    roles: wish.roles,
    ttl_secs: ttlSecs(wish),
    ...(devices === undefined ? {} : { devices }),
    ...(rooms === undefined ? {} : { rooms }),
  };
}

/** What roles allow together. */
export function permissionsOf(roles: readonly string[], offer: Offer): readonly string[] {
  const all = offer.roles.filter(({ name }) => roles.includes(name)).flatMap(({ permissions }) => permissions);
  return [...new Set(all)].sort();
}

export type Which = 'token' | 'subject' | 'everybody';

export interface Taking {
  readonly which: Which;
  readonly id: string;
  readonly subject: string;
  /** Only tokens that were issued until now: whoever signs in again comes in. */
  readonly onlyOld: boolean;
  readonly reason: string;
}

export const FRESH_TAKING: Taking = { which: 'token', id: '', subject: '', onlyOld: true, reason: '' };

/** What the server is asked to revoke; nothing while it is not said which tokens. */
export function revokeBody(taking: Taking, serverNow: number): object | undefined {
  const reason = taking.reason.trim() === '' ? {} : { reason: taking.reason.trim() };
  const before = { issued_before: new Date(serverNow).toISOString() };
  switch (taking.which) {
    case 'token':
      return taking.id.trim() === '' ? undefined : { jti: taking.id.trim(), ...reason };
    case 'subject':
      if (taking.subject.trim() === '') return undefined;
      return { subject: taking.subject.trim(), ...(taking.onlyOld ? before : {}), ...reason };
    case 'everybody':
      return { ...before, ...reason };
  }
}
