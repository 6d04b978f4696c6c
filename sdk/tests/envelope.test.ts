import { describe, expect, test } from 'vitest';
import { decode, redact } from '../src/envelope.js';
import { explain } from '../src/explain.js';
import { AnitaError } from '../src/errors.js';

describe('envelopes', () => {
  test.each([
    ['{"type":"a.b","payload":{"c":1},"id":"7","more":true}', { type: 'a.b', payload: { c: 1 }, id: '7', more: true }],
    ['{"type":"a.b"}', { type: 'a.b', payload: {} }],
    ['{"type":"a.b","payload":null}', { type: 'a.b', payload: {} }],
  ])('%s', (text, envelope) => {
    expect(decode(text)).toEqual(envelope);
  });

  test.each([
    ['', 'invalid_json'],
    ['hello', 'invalid_json'],
    ['{"type":"a"} x', 'invalid_json'],
    ['null', 'invalid_message'],
    ['3', 'invalid_message'],
    ['[]', 'invalid_message'],
    ['[{"type":"a.b","payload":{}}]', 'invalid_message'],
    ['{}', 'invalid_message'],
    ['{"type":3}', 'invalid_message'],
    ['{"type":"a","payload":3}', 'invalid_message'],
    ['{"type":"a","payload":[]}', 'invalid_message'],
  ])('%s is %s', (text, code) => {
    const error = decode(text);
    expect(error).toBeInstanceOf(AnitaError);
    expect(error).toMatchObject({ kind: 'parse', code, retryable: false });
    expect(explain(error as AnitaError)).toMatchObject({
      meaning: expect.stringContaining('The server sent'),
      remedy: expect.any(String),
    });
  });

  test('a binary frame is no message', () => {
    expect(decode(new ArrayBuffer(3))).toMatchObject({ kind: 'parse' });
  });

  test('tokens are made unreadable', () => {
    expect(redact('{"type":"authenticate","payload":{"token" : "ey\\"secret"},"id":"1"}')).toBe(
      '{"type":"authenticate","payload":{"token" : "…"},"id":"1"}',
    );
  });
});
