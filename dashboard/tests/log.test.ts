import { afterEach, describe, expect, it } from 'vitest';

import { AnitaError } from '@anita/client';

import { own, closes, remedies as germanRemedies } from '../src/log/german.table';
import { CAPACITY, MessageLog, type Cause, type Entry } from '../src/log/log';
import { redact } from '../src/log/redact';
import { asJson, asText, explained, fileName, wanted, type Filter } from '../src/log/text';
import { Ring } from '../src/ring';
import { load } from '../src/words';
import { closeMeanings, remedies } from '../../sdk/src/wire.gen';

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

const matches = (one: Entry, filter: Filter): boolean => wanted(filter)(one);

const remedied = entry({
  level: 'error',
  type: 'forbidden',
  text: '{}',
  error: {
    fault: 'server',
    cause: { by: 'page', message: 'Not for viewers.', remedy: 'Ask for another role.' },
    next: { word: 'same' },
    requestId: '7',
  },
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

  it('asks nobody to sign in where the page does it by itself', () => {
    const cause = { by: 'page', message: 'Not signed in.', remedy: 'Sign in.' } as const;
    const remedyOf = (fault: 'authentication' | 'connection', word: 'retry' | 'never'): string =>
      explained({ fault, cause, next: { word } }, 'unauthenticated').remedy;
    expect(remedyOf('authentication', 'retry')).toBe('');
    expect(remedyOf('authentication', 'never')).toBe('Sign in.');
    expect(remedyOf('connection', 'retry')).toBe('Sign in.');
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
  log.newest(Infinity, wanted({ level, text: '' })).items.map(({ type }) => type);

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
    const said = `bad ${JWT}`;
    log.error('bad', { fault: 'authentication', cause: { by: 'page', message: said, remedy: said } }, JWT);
    log.error('worse', { fault: 'server', cause: { by: 'client', error: new AnitaError('server', 'worse', said) } });
    log.warn({ word: 'noPlan', why: said });
    const { items } = log.newest(Infinity, wanted({ level: 'all', text: '' }));
    expect(items).toHaveLength(4);
    for (const write of [asText, asJson]) expect(items.map(write).join('\n')).not.toContain('eyJ');
  });

  it('cuts very long texts and says so', () => {
    const log = new MessageLog();
    log.received('big', 'x'.repeat(100_000));
    const text = log.newest(1, wanted({ level: 'all', text: '' })).items[0]?.text ?? '';
    expect(text.length).toBeLessThan(20_000);
    expect(text).toContain('100000 characters');
  });

  it('writes an error on one line with what to do', () => {
    expect(asText(remedied)).toContain(
      'forbidden (server error) Not for viewers. | request 7 | What to do: Ask for another role. | The same again will not help.',
    );
  });
});

describe('JSON lines', () => {
  it('say of an error all that the page shows, with names that programs know', () => {
    expect(JSON.parse(asJson(remedied))).toEqual({
      time: '1970-01-01T00:00:00.000Z',
      level: 'error',
      type: 'forbidden',
      fault: 'server',
      message: 'Not for viewers.',
      remedy: 'Ask for another role.',
      request_id: '7',
      retries: false,
      next: 'The same again will not help.',
      frame: '{}',
    });
  });

  it('are one line each, whatever is in a frame', () => {
    expect(asJson(entry({ text: 'a\nb "c"' }))).not.toContain('\n');
  });

  it('tell a close code and that the page comes back', () => {
    const closed: Entry = entry({
      level: 'error',
      type: 'restart',
      text: '',
      error: { fault: 'connection', cause: { by: 'close', code: 1012 }, next: { word: 'retryIn', seconds: 1.5 } },
    });
    expect(JSON.parse(asJson(closed))).toMatchObject({
      close_code: 1012,
      retries: true,
      next: 'Tries again by itself in 1.5 s.',
    });
  });

  it('are saved under a name with the time', () => {
    expect(fileName(0)).toBe('messages-1970-01-01T00-00-00Z.jsonl');
  });
});

describe('in German', () => {
  afterEach(() => load('en'));

  it('every remedy and close code of the protocol is said', () => {
    expect(Object.keys(germanRemedies).sort()).toEqual(Object.keys(remedies).sort());
    expect(Object.keys(closes).sort()).toEqual(Object.keys(closeMeanings).sort());
  });

  it('a line that was written in English is said anew', async () => {
    const lost: Entry = entry({
      level: 'error',
      type: 'connection_lost',
      text: '',
      error: {
        fault: 'connection',
        cause: { by: 'client', error: new AnitaError('connection', 'connection_lost', 'connection lost') },
        next: { word: 'retry' },
      },
    });
    expect(asText(lost)).toContain('The connection was lost.');
    await load('de');
    await expect.poll(() => asText(lost)).toContain(own['connection_lost']?.meaning);
    await expect.poll(() => asText(lost)).toContain('Versucht es von selbst wieder.');
    const closed: Cause = { by: 'close', code: 4509 };
    expect(asText({ ...lost, type: 'logged_out', error: { fault: 'connection', cause: closed } })).toContain(
      'Melden Sie sich neu an',
    );
    // What a server says in its own words stays as it said it.
    const said: Cause = { by: 'client', error: new AnitaError('server', 'forbidden', 'Not for viewers.') };
    const text = asText({ ...lost, type: 'forbidden', error: { fault: 'server', cause: said } });
    expect(text).toContain('Not for viewers.');
    expect(text).toContain('Bitten Sie um ein Token');
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
