import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Emitter } from '../src/emitter.js';

describe('the emitter', () => {
  const report = vi.spyOn(console, 'error');
  beforeEach(() => void report.mockImplementation(() => undefined));
  afterEach(() => void report.mockReset());
  const make = (): Emitter<{ a: [number]; b: [] }> => new Emitter();

  test('tells, once, until a signal, until off', () => {
    const events = make();
    const told: string[] = [];
    const ended = new AbortController();
    const off = events.on('a', (n) => told.push(`all${n}`));
    events.on('a', (n) => told.push(`once${n}`), { once: true });
    events.on('a', (n) => told.push(`signal${n}`), { signal: ended.signal });
    events.on('a', (n) => told.push(`never${n}`), { signal: AbortSignal.abort() });
    expect(events.emit('a', 1)).toBe(true);
    expect(events.emit('b')).toBe(false);
    events.emit('a', 2);
    ended.abort();
    events.emit('a', 3);
    off();
    expect(events.emit('a', 4)).toBe(false);
    expect(told).toEqual(['all1', 'once1', 'signal1', 'all2', 'signal2', 'all3']);
  });

  test('a handler that throws, or fails later, hurts nobody and is reported', async () => {
    const events = make();
    const told = vi.fn();
    events.on('a', () => {
      throw new Error('now');
    });
    events.on('a', () => Promise.reject(new Error('later')));
    events.on('a', told);
    events.emit('a', 1);
    expect(told).toHaveBeenCalledOnce();
    await vi.waitFor(() => expect(report).toHaveBeenCalledTimes(2), { timeout: 20_000 });
  });

  test('everybody hears events in the order in which they happened', () => {
    const events = make();
    const told: string[] = [];
    events.on('a', (n) => {
      told.push(`first${n}`);
      if (n === 1) events.emit('a', 2);
    });
    events.on('a', (n) => told.push(`second${n}`));
    events.emit('a', 1);
    expect(told).toEqual(['first1', 'second1', 'first2', 'second2']);
  });

  test('a handler that was taken away by an earlier one is not told', () => {
    const events = make();
    const told = vi.fn();
    events.on('b', () => {
      off();
    });
    const off = events.on('b', told);
    events.emit('b');
    expect(told).not.toHaveBeenCalled();
  });
});
