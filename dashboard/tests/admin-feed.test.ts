import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Feed } from '../src/pages/administration/feed';
import { Problem } from '../src/session';

/** A server that answers when it is told to. */
function server(): {
  load: (stop: AbortSignal) => Promise<string>;
  asked: AbortSignal[];
  answer: (text: string) => Promise<void>;
  refuse: (error: unknown) => Promise<void>;
} {
  const asked: AbortSignal[] = [];
  let settle: { resolve: (text: string) => void; reject: (error: unknown) => void } | undefined;
  const settled = (): Promise<void> => vi.advanceTimersByTimeAsync(0).then(() => undefined);
  return {
    asked,
    load: (stop) => {
      asked.push(stop);
      return new Promise((resolve, reject) => {
        settle = { resolve, reject };
      });
    },
    answer: (text) => {
      settle?.resolve(text);
      return settled();
    },
    refuse: (error) => {
      settle?.reject(error);
      return settled();
    },
  };
}

const busy = new Problem(503, 'unavailable', 'Not now.', 'Try again.');
const forbidden = new Problem(403, 'forbidden', 'This needs the permission audit.read.', 'Ask for it.');

describe('a feed', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('asks at once, and again after each answer', async () => {
    const { load, asked, answer } = server();
    const feed = new Feed(load, 2_000, () => false);
    const close = feed.open();
    expect([asked.length, feed.busy.value, feed.data.value]).toEqual([1, true, null]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toHaveLength(1);
    await answer('one');
    expect([feed.data.value, feed.busy.value]).toEqual(['one', false]);
    await vi.advanceTimersByTimeAsync(1_999);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toHaveLength(2);
    close();
    expect(asked[1]?.aborted).toBe(true);
    await answer('late');
    await vi.advanceTimersByTimeAsync(10_000);
    expect([asked.length, feed.data.value]).toEqual([2, 'one']);
  });

  it('asks once where nothing changes', async () => {
    const { load, asked, answer } = server();
    const feed = new Feed(load, undefined, () => false);
    feed.open();
    await answer('one');
    await vi.advanceTimersByTimeAsync(60_000);
    feed.looked();
    expect(asked).toHaveLength(1);
  });

  it('stops while nobody looks, and goes on when somebody does', async () => {
    const { load, asked, answer } = server();
    let hidden = false;
    const feed = new Feed(load, 2_000, () => hidden);
    feed.open();
    await answer('one');
    hidden = true;
    feed.looked();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(1);
    hidden = false;
    feed.looked();
    expect(asked).toHaveLength(2);
    hidden = true;
    await answer('two');
    await vi.advanceTimersByTimeAsync(60_000);
    expect([asked.length, feed.data.value]).toEqual([2, 'two']);
  });

  it('stops after an error with what was known, and goes on when it is told to', async () => {
    const { load, asked, answer, refuse } = server();
    const feed = new Feed(load, 2_000, () => false);
    feed.open();
    await answer('one');
    await vi.advanceTimersByTimeAsync(2_000);
    await refuse(busy);
    expect([feed.problem.value, feed.data.value]).toEqual([busy, 'one']);
    await vi.advanceTimersByTimeAsync(60_000);
    feed.looked();
    expect(asked).toHaveLength(2);
    void feed.reload();
    await answer('three');
    expect([feed.problem.value, feed.data.value]).toEqual([null, 'three']);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(asked).toHaveLength(4);
  });

  it('shows nothing more of what may not be seen any more', async () => {
    const { load, answer, refuse } = server();
    const feed = new Feed(load, 2_000, () => false);
    feed.open();
    await answer('one');
    await vi.advanceTimersByTimeAsync(2_000);
    await refuse(forbidden);
    expect([feed.problem.value, feed.data.value]).toEqual([forbidden, null]);
  });

  it('makes a problem of whatever went wrong', async () => {
    const { load, refuse } = server();
    const feed = new Feed(load, undefined, () => false);
    feed.open();
    await refuse(new SyntaxError('Unexpected token'));
    expect(feed.problem.value).toMatchObject({ code: 'internal', message: 'SyntaxError: Unexpected token' });
  });

  it('waits while it is held', async () => {
    const { load, asked, answer } = server();
    const feed = new Feed(load, 2_000, () => false);
    feed.open();
    await answer('one');
    feed.hold(true);
    await vi.advanceTimersByTimeAsync(60_000);
    feed.looked();
    expect(asked).toHaveLength(1);
    feed.hold(false);
    expect(asked).toHaveLength(2);
  });

  it('takes only the answer to its last question', async () => {
    const { load, asked, answer } = server();
    const feed = new Feed(load, undefined, () => false);
    feed.open();
    const first = answer;
    void feed.reload();
    expect(asked[0]?.aborted).toBe(true);
    await first('second');
    expect(feed.data.value).toBe('second');
  });
});
