import { describe, expect, test } from 'vitest';
import { isFinal, machine, step, type Effect, type Input, type Machine, type State } from '../src/machine.js';
import { closeCodes } from '../src/wire.gen.js';

const start = machine(true, true);
const states: State[] = ['idle', 'connecting', 'authenticating', 'online', 'waiting', 'offline', 'closed', 'failed'];
const hangUp: Effect = 'hangUp';
const dial: Effect = { dial: 'connect' };
const wait = (attempt: number, retryAfterMs?: number): Effect => ({ wait: attempt, retryAfterMs });
const lost = (code: number, retryAfterMs?: number): Input => ({ lost: code, retryAfterMs });

type Row = [
  from: State,
  input: Input,
  to: State,
  effects: Effect[],
  before?: Partial<Machine>,
  after?: Partial<Machine>,
];

const rows: Row[] = [
  ['idle', 'connect', 'connecting', [dial]],
  ['failed', 'connect', 'connecting', [dial], { expired: 2, attempt: 7 }, { expired: 0, attempt: 0 }],
  ['waiting', 'connect', 'waiting', []],
  ['online', 'connect', 'online', []],

  ['connecting', 'opened', 'authenticating', []],
  ['authenticating', 'challenged', 'authenticating', ['authenticate']],
  ['online', 'challenged', 'online', []],
  ['authenticating', 'welcomed', 'online', [], { expired: 1, attempt: 3 }, { expired: 0, attempt: 3 }],
  ['waiting', 'welcomed', 'waiting', []],
  ['online', 'stable', 'online', [], { attempt: 9 }, { attempt: 0 }],
  ['waiting', 'stable', 'waiting', [], { attempt: 9 }, { attempt: 9 }],

  // Come back.
  ['connecting', lost(1006), 'waiting', [hangUp, wait(0)], {}, { attempt: 1 }],
  ['authenticating', lost(4408), 'waiting', [hangUp, wait(2)], { attempt: 2 }, { attempt: 3 }],
  ['online', lost(1000), 'waiting', [hangUp, wait(0)]],
  ['online', lost(1012, 700), 'waiting', [hangUp, wait(0, 700)]],
  ['online', lost(1006), 'offline', [hangUp], { network: false }],
  // A loss that arrives twice, or after the end, changes nothing.
  ['waiting', lost(1006), 'waiting', []],
  ['offline', lost(1006), 'offline', []],
  ['failed', lost(1006), 'failed', []],

  // Come back with a fresh token; the second time in a row is the last.
  ['online', lost(4401), 'waiting', [hangUp, wait(0)], {}, { expired: 1 }],
  ['waiting', 'retry', 'connecting', [{ dial: 'rejected' }], { expired: 1 }],
  ['authenticating', lost(4401), 'failed', [hangUp], { expired: 1 }],
  ['authenticating', lost(1006), 'waiting', [hangUp, wait(0)], { expired: 1 }, { expired: 1 }],
  ['online', lost(4401), 'failed', [hangUp], { renewable: false }],
  ['online', lost(1006), 'waiting', [hangUp, wait(0)], { renewable: false }],

  // Stay away.
  ['online', lost(4501), 'failed', [hangUp]],
  ['authenticating', lost(4504), 'failed', [hangUp]],
  ['connecting', 'refused', 'failed', [hangUp]],
  ['online', 'refused', 'failed', [hangUp]],
  ['waiting', 'refused', 'waiting', []],

  ['waiting', 'retry', 'connecting', [dial]],
  ['offline', 'retry', 'connecting', [dial]],
  ['online', 'retry', 'online', []],
  ['failed', 'retry', 'failed', []],

  ['waiting', { network: false }, 'offline', [], {}, { network: false }],
  ['online', { network: false }, 'online', [], {}, { network: false }],
  ['offline', { network: true }, 'waiting', [wait(4)], { attempt: 4, network: false }, { network: true }],
  ['waiting', { network: true }, 'waiting', []],
];

describe('the machine', () => {
  test.each(rows)('%s: %o → %s', (from, input, to, effects, before = {}, after = {}) => {
    const [next, done] = step({ ...start, state: from, ...before }, input);
    expect(next).toMatchObject({ state: to, ...after });
    expect(done).toEqual(effects);
  });

  const inputs: Input[] = [
    'connect',
    'close',
    'retry',
    'opened',
    'challenged',
    'welcomed',
    'stable',
    'refused',
    lost(1006),
    lost(4501),
    { network: true },
    { network: false },
  ];

  test('closed is the end', () => {
    for (const input of inputs) {
      const closed = { ...start, state: 'closed' as const };
      expect(step(closed, input)).toEqual([closed, []]);
    }
  });

  test('close closes in every state', () => {
    for (const state of states.filter((it) => it !== 'closed')) {
      const [next, effects] = step({ ...start, state }, 'close');
      expect(next.state).toBe('closed');
      expect(effects).toEqual([hangUp]);
    }
  });

  test('there is never a second socket: who dials has hung up before', () => {
    // Every sequence of five inputs, with the invariant checked after each.
    const walk = (now: Machine, isOpen: boolean, depth: number): void => {
      if (depth === 0) return;
      for (const input of inputs) {
        const [next, effects] = step(now, input);
        let open = isOpen;
        for (const effect of effects) {
          if (effect === 'hangUp') open = false;
          if (typeof effect === 'object' && 'dial' in effect) {
            expect(open).toBe(false);
            open = true;
          }
        }
        expect(open).toBe(['connecting', 'authenticating', 'online'].includes(next.state));
        walk(next, open, depth - 1);
      }
    };
    walk(start, false, 4);
  });
});

describe('close codes', () => {
  const finals = [1002, 1003, 1007, 1008, 1009, 1010, 4500, 4501, 4503, 4504, 4509, 4599, 4999];
  const others = [
    1000, 1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 3000, 3999, 4000, 4401, 4408, 4410, 4413, 4429, 4499,
  ];

  test.each(finals)('%i: stay away', (code) => expect(isFinal(code)).toBe(true));
  test.each(others)('%i: come back', (code) => expect(isFinal(code)).toBe(false));

  test('the machine and the table of the server agree', () => {
    for (const [code, { advice }] of Object.entries(closeCodes)) {
      expect(isFinal(Number(code)), code).toBe(advice === 'stay_away');
      expect(advice === 'come_back_with_fresh_token', code).toBe(code === '4401');
    }
  });
});
