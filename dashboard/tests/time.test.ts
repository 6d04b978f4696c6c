import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { throttle } from '../src/throttle';
import { ago, agoPhrase, clockTime, dayAndTime, parseTime, secondsLeft, ServerClock } from '../src/time';

describe('ago', () => {
  it.each([
    [-5_000, 'now'],
    [0, 'now'],
    [999, 'now'],
    [1_000, '1 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [3_599_999, '59 min'],
    [3_600_000, '1 h'],
    [90_000_000, '1 d'],
    [NaN, '–'],
  ])('%d ms is %s', (ms, word) => {
    expect(ago(ms)).toBe(word);
  });

  it('is a phrase where it stands alone', () => {
    expect([agoPhrase(10), agoPhrase(4_000)]).toEqual(['now', '4 s ago']);
  });
});

describe('clock times', () => {
  const at = new Date(2026, 10, 22, 7, 5, 9, 42).getTime();

  it('have two digits each', () => {
    expect(clockTime(at)).toBe('07:05:09');
    expect(clockTime(at, true)).toBe('07:05:09.042');
    expect(clockTime(NaN)).toBe('–');
  });

  it('name the day when it is another one', () => {
    expect(dayAndTime(at, at + 1_000)).toBe('07:05:09');
    expect(dayAndTime(at, at + 86_400_000)).toMatch(/^Nov 22, 2026 07:05:09$|^22 Nov 2026 07:05:09$/);
  });
});

describe('the wire’s times', () => {
  it('are read with six digits', () => {
    expect(parseTime('2026-11-22T07:05:09.042137Z')).toBe(Date.UTC(2026, 10, 22, 7, 5, 9, 42));
    expect(parseTime('2026-11-22T07:05:09Z')).toBe(Date.UTC(2026, 10, 22, 7, 5, 9));
  });

  it('are nothing when they are no times', () => {
    for (const value of ['soon', null, undefined, 5]) expect(parseTime(value)).toBeUndefined();
  });
});

describe('a countdown', () => {
  it('rounds up and stops at zero', () => {
    expect([secondsLeft(4_200, 0), secondsLeft(4_000, 0), secondsLeft(1, 0), secondsLeft(0, 50)]).toEqual([5, 4, 1, 0]);
  });
});

describe('the server’s clock', () => {
  it('is the local one until the server has told', () => {
    expect(new ServerClock().now(1_000)).toBe(1_000);
  });

  it('believes the message that was delayed least', () => {
    const clock = new ServerClock(3);
    clock.note(10_000, 5_200);
    clock.note(11_000, 6_010);
    clock.note(12_000, 7_900);
    expect(clock.offset).toBe(4_990);
  });

  it('forgets old samples, so that it follows a clock that was set', () => {
    const clock = new ServerClock(2);
    clock.note(100_000, 0);
    clock.note(5, 0);
    clock.note(6, 0);
    expect(clock.offset).toBe(6);
    clock.reset();
    expect(clock.offset).toBe(0);
  });
});

describe('throttling', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('works at once, then at most once in a while, and never loses the last call', () => {
    const work = vi.fn();
    const call = throttle(work, 250);
    call();
    expect(work).toHaveBeenCalledTimes(1);
    for (let index = 0; index < 10; index += 1) {
      vi.advanceTimersByTime(20);
      call();
    }
    expect(work).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(60);
    expect(work).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(1_000);
    expect(work).toHaveBeenCalledTimes(2);
  });

  it('can be cancelled', () => {
    const work = vi.fn();
    const call = throttle(work, 250);
    call();
    call();
    call.cancel();
    vi.advanceTimersByTime(1_000);
    expect(work).toHaveBeenCalledTimes(1);
  });
});
