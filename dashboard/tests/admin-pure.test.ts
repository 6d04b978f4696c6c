import { describe, expect, it } from 'vitest';

import { isHidden, nameOf, originOf, sectionOf, sections } from '../src/pages/administration/configured';
import { bytes, bytesRate, rate } from '../src/pages/administration/format';
import {
  FRESH_TAKING,
  FRESH_WISH,
  lackOf,
  mintBody,
  patternsOf,
  permissionsOf,
  revokeBody,
  ttlSecs,
} from '../src/pages/administration/minting';
import { RateMeter } from '../src/pages/administration/rates';
import { withQuery, type AuditEntry, type AuditTrail } from '../src/pages/administration/rest';
import { matches, pageOf, sorted, Trail, turned } from '../src/pages/administration/rows';
import { asLines, EVERYTHING, linesName, moment, queryOf, readOn } from '../src/pages/administration/trail';
import { PAGES, pagesFor } from '../src/pages/pages';

describe('rates from counters', () => {
  const meter = (): RateMeter<'sent' | 'bytes'> => new RateMeter({ sent: 20_000, bytes: 4_000 });

  it('are unknown at first, and then what came in a second', () => {
    const rates = meter();
    expect(rates.of('a')).toEqual({ sent: null, bytes: null });
    rates.note(1_000, [['a', { sent: 5, bytes: 100 }]]);
    expect(rates.of('a')).toEqual({ sent: null, bytes: null });
    rates.note(3_000, [['a', { sent: 9, bytes: 1_100 }]]);
    expect(rates.of('a')).toEqual({ sent: 2, bytes: 500 });
  });

  it('are over the window of each counter, so that one that moves in steps does not jump', () => {
    const rates = meter();
    for (const [at, sent] of [
      [0, 0],
      [4_000, 0],
      [8_000, 0],
      [12_000, 120],
      [16_000, 120],
    ] as const) {
      rates.note(at, [['a', { sent, bytes: Math.max(0, at - 12_000) }]]);
    }
    expect(rates.of('a')).toEqual({ sent: 7.5, bytes: 1_000 });
    rates.note(60_000, [['a', { sent: 120, bytes: 48_000 }]]);
    expect(rates.of('a')).toEqual({ sent: 0, bytes: 1_000 });
  });

  it('begin anew where a counter went down or nothing was heard', () => {
    const rates = meter();
    rates.note(0, [['a', { sent: 50, bytes: 50 }]]);
    rates.note(2_000, [['a', { sent: 1, bytes: 90 }]]);
    expect(rates.of('a')).toEqual({ sent: null, bytes: null });
    rates.note(4_000, [['b', { sent: 1, bytes: 1 }]]);
    rates.note(6_000, [['a', { sent: 9, bytes: 99 }]]);
    expect(rates.of('a').sent).toBeNull();
    expect(rates.of('b').sent).toBeNull();
  });

  it('say nothing before a counter that moves in steps has moved', () => {
    const rates = new RateMeter({ sent: 20_000, bytes: 4_000 }, { sent: 6_000 });
    for (const at of [0, 4_000]) rates.note(at, [['a', { sent: 0, bytes: at }]]);
    expect(rates.of('a')).toEqual({ sent: null, bytes: 1_000 });
    rates.note(6_000, [['a', { sent: 60, bytes: 6_000 }]]);
    expect(rates.of('a').sent).toBe(10);
  });

  it('take no answer that is not newer', () => {
    const rates = meter();
    rates.note(2_000, [['a', { sent: 0, bytes: 0 }]]);
    rates.note(2_000, [['a', { sent: 8, bytes: 8 }]]);
    expect(rates.of('a').sent).toBeNull();
  });

  it('hold only what the longest window needs', () => {
    const rates = meter();
    for (let at = 0; at <= 1_000_000; at += 2_000) rates.note(at, [['a', { sent: at, bytes: at }]]);
    expect(rates.of('a')).toEqual({ sent: 1_000, bytes: 1_000 });
  });

  it('are written with their units', () => {
    expect([rate(null), rate(0), rate(0.44), rate(12.6), rate(1_234)]).toEqual(['–', '0', '0.4', '13', '1,234']);
    expect([bytes(0), bytes(999), bytes(1_234), bytes(2_500_000)]).toEqual(['0 B', '999 B', '1.2 kB', '2.5 MB']);
    expect([bytes(7.2e12), bytesRate(null), bytesRate(1_500.4)]).toEqual(['7,200 GB', '–', '1.5 kB/s']);
  });
});

describe('rows', () => {
  const names = (rows: readonly { name: string }[]): string => rows.map(({ name }) => name).join(' ');
  const rows = [
    { name: 'tag-10', n: 3 },
    { name: 'tag-9', n: null },
    { name: 'Anna', n: 12 },
    { name: 'bert', n: 3 },
  ];

  it('are in order both ways, those without a value last', () => {
    expect(names(sorted(rows, ({ name }) => name, false))).toBe('Anna bert tag-9 tag-10');
    expect(names(sorted(rows, ({ name }) => name, true))).toBe('tag-10 tag-9 bert Anna');
    expect(names(sorted(rows, ({ n }) => n, false))).toBe('tag-10 bert Anna tag-9');
    expect(names(sorted(rows, ({ n }) => n, true))).toBe('Anna tag-10 bert tag-9');
  });

  it('turn round when they are sorted by the same again', () => {
    const once = turned({ by: 'since', descending: true }, 'user');
    expect([once, turned(once, 'user')]).toEqual([
      { by: 'user', descending: false },
      { by: 'user', descending: true },
    ]);
  });

  it('match when each word is somewhere', () => {
    expect(matches('', [])).toBe(true);
    expect(matches(' ALICE  firefox ', ['alice', undefined, 'Mozilla Firefox', null])).toBe(true);
    expect(matches('alice chrome', ['alice', 'firefox'])).toBe(false);
    expect(matches('alicefire', ['alice', 'firefox'])).toBe(false);
  });

  it('come in pages, and the page stays within what there is', () => {
    const many = Array.from({ length: 101 }, (_, index) => index);
    expect(pageOf(many, 0, 50)).toMatchObject({ page: 0, pages: 3, first: 1, last: 50 });
    expect(pageOf(many, 2, 50)).toMatchObject({ rows: [100], first: 101, last: 101 });
    expect(pageOf(many.slice(0, 60), 2, 50)).toMatchObject({ page: 1, pages: 2, first: 51, last: 60 });
    expect(pageOf([], 3, 50)).toEqual({ rows: [], page: 0, pages: 1, first: 0, last: 0 });
  });

  it('of the server are gone through forth and back', () => {
    const third = new Trail().forth('m').forth('t');
    expect([third.after, third.number]).toEqual(['t', 3]);
    expect([third.back().after, third.back().back().after, third.back().back().back().number]).toEqual([
      'm',
      undefined,
      1,
    ]);
  });
});

describe('the audit trail', () => {
  const entry = (seq: number): AuditEntry => ({
    at: '2026-03-01T12:00:00.000000Z',
    seq,
    subject: 'admin',
    action: 'close connection',
    object: 'c7: moved',
    outcome: 'done',
  });

  it('is asked for what was written, times with their whole minute', () => {
    expect(queryOf(EVERYTHING, 100)).toEqual({ subject: '', action: '', outcome: '', limit: 100 });
    const wanted = { ...EVERYTHING, subject: ' alice ', from: '2026-03-01T12:00', to: '2026-03-01T12:00' };
    const query = queryOf(wanted, 5, 'x');
    expect(query).toMatchObject({ subject: 'alice', limit: 5, after: 'x' });
    expect(Date.parse(String(query['end_time'])) - Date.parse(String(query['start_time']))).toBe(59_999);
    expect(moment('yesterday')).toBeUndefined();
    expect(withQuery('audit', { ...query, start_time: undefined, end_time: undefined, outcome: '' })).toBe(
      'api/v1/audit?subject=alice&limit=5&after=x',
    );
    expect(withQuery('sources', {})).toBe('api/v1/sources');
  });

  it('is read on until there is enough, the end, or nothing found in many pages', async () => {
    const asked: (string | undefined)[] = [];
    const pages: Record<string, AuditTrail> = {
      '': { entries: [], next: 'a' },
      a: { entries: [entry(9), entry(8)], next: 'b' },
      b: { entries: [entry(7)], next: 'c' },
      c: { entries: [entry(6)] },
    };
    const load = (after: string | undefined): Promise<AuditTrail> => {
      asked.push(after);
      return Promise.resolve(pages[after ?? ''] ?? { entries: [] });
    };
    const found = await readOn(load, undefined, 2, 10);
    expect([found.entries.map(({ seq }) => seq), found.next, found.pages]).toEqual([[9, 8], 'b', 2]);
    expect(asked).toEqual([undefined, 'a']);
    expect((await readOn(load, undefined, 2, 1)).next).toBe('a');
    const told: number[] = [];
    const all = await readOn(load, undefined, 1_000, Infinity, (count) => told.push(count));
    expect([all.entries.length, all.next, told]).toEqual([4, undefined, [0, 2, 3, 4]]);
  });

  it('is saved as one JSON a line', () => {
    expect(asLines([entry(2), entry(1)]).split('\n')).toEqual([JSON.stringify(entry(2)), JSON.stringify(entry(1)), '']);
    expect(linesName(Date.UTC(2026, 2, 1, 9, 5, 7))).toBe('audit-2026-03-01T09-05-07Z.ndjson');
  });
});

describe('the configuration', () => {
  const values = [
    { key: 'server.listen', value: '0.0.0.0:8443', origin: 'environment ANITA__SERVER__LISTEN' },
    { key: 'server.tls.self_signed', value: true, origin: 'file' },
    { key: 'heartbeat.interval_secs', value: 25, origin: 'default' },
    { key: 'sources[0].password', value: '…', origin: 'file' },
    { key: 'sources[0].url', value: 'mqtt://127.0.0.1:1883', origin: 'file' },
  ];

  it('is in sections, in the order of the server', () => {
    expect(sections(values, '', false).map(({ name, values: inIt }) => [name, inIt.length])).toEqual([
      ['server', 1],
      ['server.tls', 1],
      ['heartbeat', 1],
      ['sources[0]', 2],
    ]);
    expect([sectionOf('auth.issuers[1].audience'), nameOf('auth.issuers[1].audience'), sectionOf('x')]).toEqual([
      'auth.issuers[1]',
      'audience',
      '',
    ]);
  });

  it('is searched by key, value and origin, and without its defaults', () => {
    const keys = (search: string, changedOnly = false): string[] =>
      sections(values, search, changedOnly).flatMap(({ values: inIt }) => inIt.map(({ key }) => key));
    expect(keys('mqtt')).toEqual(['sources[0].url']);
    expect(keys('ANITA__SERVER')).toEqual(['server.listen']);
    expect(keys('true')).toEqual(['server.tls.self_signed']);
    expect(keys('', true)).toHaveLength(4);
  });

  it('says where a value came from, and which are secret', () => {
    expect(values.map(({ origin }) => originOf(origin))).toEqual(['environment', 'file', 'default', 'file', 'file']);
    expect(originOf('command line')).toBe('other');
    expect(values.filter(({ value }) => isHidden(value)).map(({ key }) => key)).toEqual(['sources[0].password']);
  });
});

describe('tokens', () => {
  const offer = {
    ttl_secs_max: 86_400,
    roles: [
      { name: 'publisher', permissions: ['locations.report', 'endpoints.open'] },
      { name: 'viewer', permissions: ['devices.read', 'endpoints.open'] },
    ],
  };

  it('have patterns as people write them', () => {
    expect(patternsOf('  tag-*, cart-7\nhall/{a,b}-? ')).toEqual(['tag-*', 'cart-7', 'hall/{a,b}-?']);
    expect(patternsOf(' , ')).toBeUndefined();
  });

  it('say what is missing before anybody is asked', () => {
    const wish = { ...FRESH_WISH, subject: 'hall-display', roles: ['viewer'] };
    expect(lackOf(FRESH_WISH, offer)).toBe('subject');
    expect(lackOf({ ...wish, roles: [] }, offer)).toBe('roles');
    for (const amount of ['', 'x', '0', '-1']) expect(lackOf({ ...wish, amount }, offer)).toBe('ttl');
    expect(lackOf({ ...wish, amount: '2', unit: 'days' }, offer)).toBe('ttlMost');
    expect(lackOf({ ...wish, amount: '1', unit: 'days' }, offer)).toBeUndefined();
    expect(ttlSecs({ ...wish, amount: '1,5', unit: 'minutes' })).toBe(90);
  });

  it('are asked for with what was chosen, and nothing else', () => {
    const wish = { ...FRESH_WISH, subject: ' hall ', roles: ['viewer'] };
    expect(mintBody(wish)).toEqual({ subject: 'hall', roles: ['viewer'], ttl_secs: 28_800 });
    expect(mintBody({ ...wish, devices: 'tag-*', rooms: 'uwb' })).toMatchObject({ devices: ['tag-*'], rooms: ['uwb'] });
    expect(permissionsOf(['viewer', 'publisher'], offer)).toEqual([
      'devices.read',
      'endpoints.open',
      'locations.report',
    ]);
    expect(permissionsOf([], offer)).toEqual([]);
  });

  it('are revoked by id, by subject, as a ban, or all of them', () => {
    const at = Date.UTC(2026, 2, 1);
    const before = { issued_before: '2026-03-01T00:00:00.000Z' };
    expect(revokeBody(FRESH_TAKING, at)).toBeUndefined();
    expect(revokeBody({ ...FRESH_TAKING, id: ' j1 ', reason: ' lost ' }, at)).toEqual({ jti: 'j1', reason: 'lost' });
    const alice = { ...FRESH_TAKING, which: 'subject', subject: 'alice' } as const;
    expect(revokeBody(alice, at)).toEqual({ subject: 'alice', ...before });
    expect(revokeBody({ ...alice, onlyOld: false }, at)).toEqual({ subject: 'alice' });
    expect(revokeBody({ ...alice, subject: ' ' }, at)).toBeUndefined();
    expect(revokeBody({ ...FRESH_TAKING, which: 'everybody', subject: 'alice' }, at)).toEqual(before);
  });
});

describe('the pages', () => {
  const administration = (...permissions: string[]): string =>
    pagesFor(permissions)
      .filter((name) => PAGES[name].section === 'administration')
      .join(' ');

  it('are for those who may see what is on them', () => {
    expect(administration('devices.read', 'history.read', 'rooms.join')).toBe('');
    expect(administration('rooms.members')).toBe('rooms');
    expect(administration('tokens.revoke')).toBe('tokens');
    expect(administration('connections.manage', 'sources.read', 'audit.read', 'configuration.read')).toBe(
      'connections sources audit configuration',
    );
  });
});
