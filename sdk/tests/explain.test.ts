import { describe, expect, test } from 'vitest';
import { AnitaError, fault } from '../src/errors.js';
import { explain } from '../src/explain.js';
import { closeCodes, remedies } from '../src/wire.gen.js';

describe('explain', () => {
  test.each([
    'aborted',
    'closed',
    'connect_timeout',
    'connection_lost',
    'disconnected',
    'no_socket',
    'page_hidden',
    'queue_full',
    'silence',
    'token_failed',
    'unauthenticated',
    'unreachable',
  ])('has a sentence for the client’s own %s', (code) => {
    const { meaning } = explain(fault(code));
    expect(meaning).toMatch(/^[A-Z].*\.$/);
    expect(meaning).not.toContain('_');
  });

  test('every code of the server has its own message and a remedy', () => {
    for (const code of Object.keys(remedies)) {
      const { meaning, remedy } = explain(new AnitaError('server', code, 'What is wrong.'));
      expect(meaning).toBe('What is wrong.');
      expect(remedy, code).toMatch(/\.$|…}/);
    }
  });

  test('every close code, known or not, has both; by number and by event', () => {
    for (const code of [...Object.keys(closeCodes).map(Number), 1006, 3999, 4488, 4777]) {
      const { meaning, remedy } = explain(code);
      expect(meaning).toMatch(/\.$/);
      expect(remedy).toMatch(/\.$/);
      expect(explain({ code })).toEqual({ meaning, remedy });
    }
    expect(explain(4777).remedy).toContain('stays away');
    expect(explain(4477).remedy).toContain('comes back');
    expect(explain(4401).remedy).toContain('Sign in');
  });

  test.each<[error: AnitaError, meaning: RegExp, remedy: RegExp]>([
    [fault('timeout', 'timeout'), /not answered in time/, /Try again/],
    [new AnitaError('server', 'timeout', 'Too slow.'), /^Too slow\.$/, /in one go/],
    [fault('invalid_json', 'parse'), /not JSON/, /network/],
    [new AnitaError('server', 'invalid_json', 'No.'), /^No\.$/, /Send one JSON/],
    [fault('restart', 'connection', { details: { code: 1012, reason: '' } }), /restarts/, /comes back/],
    [fault('close_4413', 'connection', { details: { code: 4413, reason: '' } }), /too slowly/, /comes back/],
    [fault('token_failed', 'auth', { cause: new Error('Nobody is signed in.') }), /had\. Nobody is/, /Sign in/],
    [new AnitaError('auth', 'token_expired', 'It is over.'), /It is over/, /fresh token/],
    [new AnitaError('server', 'constructor', 'New to us.'), /New to us/, /^$/],
  ])('%s', (error, meaning, remedy) => {
    expect(explain(error).meaning).toMatch(meaning);
    expect(explain(error).remedy).toMatch(remedy);
  });
});
