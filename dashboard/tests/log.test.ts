import { describe, expect, it } from 'vitest';

import { asText, CAPACITY, matches, MessageLog, type Entry, type Filter } from '../src/log/log';
import { redact } from '../src/log/redact';
import { Ring } from '../src/ring';

const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl';

describe('redaction', () => {
  it.each([
    [`{"type":"authenticate","payload":{"token":"${JWT}"}}`],
    [`{"payload":{"access_token":"short"}}`.replace('short', JWT)],
    [`wss://host/ws/uwb?token=${JWT}&x=1`],
    [`Authorization: Bearer ${JWT}`],
    [`anita.v1, anita.bearer.${JWT}`],
    [`said ${JWT}, twice ${JWT}`],
    [`{"token":"${JWT}`],
  ])('takes the token out of %s', (text) => {
    const safe = redact(text);
    expect(safe).toContain('[redacted]');
    expect(safe).not.toContain('c2lnbmF0dXJl');
    expect(safe).not.toContain('eyJzdWIi');
  });

  it('takes out what is named a secret, whatever it looks like', () => {
    expect(redact('{"password":"a \\" b","x":1}')).toBe('{"password":"[redacted]","x":1}');
    expect(redact('/#token=abc')).toBe('/#token=[redacted]');
  });

  it('leaves everything else alone', () => {
    const text = '{"type":"error","payload":{"code":"invalid_token","message":"The token ran out."}}';
    expect(redact(text)).toBe(text);
    expect(redact('{"device_id":"eyJ"}')).toBe('{"device_id":"eyJ"}');
  });
});

function entry(change: Partial<Entry>): Entry {
  return { seq: 1, at: 0, level: 'received', type: 'uwb.device_list', text: '{"devices":[]}', ...change };
}

const remedied = entry({
  level: 'error',
  type: 'forbidden',
  text: '{}',
  error: { fault: 'server', message: 'Not for viewers.', remedy: 'Ask for another role.', next: 'The same again…' },
});

describe('the filter', () => {
  const all: Filter = { level: 'all', text: '' };

  it('takes everything when it is open', () => {
    expect(matches(entry({}), all)).toBe(true);
    expect(matches(remedied, all)).toBe(true);
  });

  it('goes by level', () => {
    expect(matches(entry({}), { ...all, level: 'sent' })).toBe(false);
    expect(matches(remedied, { ...all, level: 'error' })).toBe(true);
  });

  it('looks into type, text, message and remedy, whatever the case', () => {
    for (const text of ['DEVICE_LIST', '"devices"']) expect(matches(entry({}), { ...all, text })).toBe(true);
    for (const text of ['viewers', 'another ROLE', 'server', ' forbidden ']) {
      expect(matches(remedied, { ...all, text })).toBe(true);
    }
    expect(matches(entry({}), { ...all, text: 'no such' })).toBe(false);
  });
});

const shown = (log: MessageLog, level: Filter['level'] = 'all'): string[] =>
  log.newest(Infinity, { level, text: '' }).items.map(({ type }) => type);

describe('the log', () => {
  it('keeps the newest and forgets the oldest', () => {
    const log = new MessageLog();
    for (let index = 0; index < CAPACITY + 10; index += 1) log.received(`type.${String(index)}`, '{}');
    expect(shown(log)).toHaveLength(CAPACITY);
    expect(shown(log)[0]).toBe('type.10');
    expect(log.counts.received).toBe(CAPACITY + 10);
  });

  it('counts what comes at a high rate without keeping it, unless asked', () => {
    const log = new MessageLog();
    log.received('uwb.location', '{}');
    log.received('system.heartbeat', '{}');
    log.received('device.status', '{}');
    expect(shown(log)).toEqual(['device.status']);
    expect(log.counts).toMatchObject({ received: 3, hidden: 2 });
    log.hideHighRate.value = false;
    log.received('uwb.location', '{}');
    expect(shown(log)).toEqual(['device.status', 'uwb.location']);
  });

  it('stands still while paused, and goes on recording', () => {
    const log = new MessageLog();
    log.sent('first', '{}');
    log.pause();
    log.sent('second', '{}');
    expect(shown(log)).toEqual(['first']);
    expect(log.sincePause).toBe(1);
    log.resume();
    expect(shown(log)).toEqual(['first', 'second']);
  });

  it('is empty after clearing', () => {
    const log = new MessageLog();
    log.sent('first', '{}');
    log.clear();
    expect(shown(log)).toEqual([]);
    expect(log.counts.sent).toBe(0);
  });

  it('never keeps a token', () => {
    const log = new MessageLog();
    log.sent('authenticate', `{"payload":{"token":"${JWT}"}}`);
    log.error('bad', { fault: 'authentication', message: `bad ${JWT}`, remedy: '' }, JWT);
    const kept = log.newest(Infinity, { level: 'all', text: '' }).items.map(asText).join('\n');
    expect(kept).not.toContain('eyJ');
  });

  it('cuts very long texts and says so', () => {
    const log = new MessageLog();
    log.received('big', 'x'.repeat(100_000));
    const text = log.newest(1, { level: 'all', text: '' }).items[0]?.text ?? '';
    expect(text.length).toBeLessThan(20_000);
    expect(text).toContain('100000 characters');
  });

  it('writes an error on one line with what to do', () => {
    expect(asText(remedied)).toContain('forbidden (server) Not for viewers. | what to do: Ask for another role.');
  });
});

describe('the ring', () => {
  it('pushes the oldest out', () => {
    const ring = new Ring<number>(3);
    for (const item of [1, 2, 3, 4, 5]) ring.push(item);
    expect([...ring]).toEqual([3, 4, 5]);
    expect([ring.at(0), ring.at(2), ring.at(3), ring.at(-1)]).toEqual([3, 5, undefined, undefined]);
  });

  it('gives the newest that are wanted, and says whether there are more', () => {
    const ring = new Ring<number>(10);
    for (let item = 1; item <= 8; item += 1) ring.push(item);
    const even = (item: number): boolean => item % 2 === 0;
    expect(ring.newest(2, even)).toEqual({ items: [6, 8], more: true });
    expect(ring.newest(4, even)).toEqual({ items: [2, 4, 6, 8], more: false });
  });

  it('can be cleared and used again', () => {
    const ring = new Ring<number>(2);
    ring.push(1);
    ring.clear();
    expect([...ring]).toEqual([]);
    ring.push(2);
    expect([...ring]).toEqual([2]);
  });

  it('needs room for one', () => {
    expect(() => new Ring(0)).toThrow(RangeError);
  });
});
