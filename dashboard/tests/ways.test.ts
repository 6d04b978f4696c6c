import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { SignInFailure, takeFailureFromAddress } from '../src/session';
import { readWays, wayAddress } from '../src/shell/ways';

/** The address bar of a page. */
function at(address: string): () => string {
  const url = new URL(address);
  let shown = address;
  vi.stubGlobal('location', url);
  vi.stubGlobal('history', {
    state: null,
    replaceState: (_state: unknown, _title: string, next: string) => {
      shown = new URL(next, address).href;
    },
  });
  return () => shown;
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('the ways to sign in', () => {
  it('are those that this page knows, below the server and nowhere else', () => {
    const oidc = { method: 'oidc', label: 'The company', address: '/api/v1/sign-in/oidc' };
    const odd = [
      { method: 'token' },
      { method: 'magic', label: 'x', address: '/x' },
      { ...oidc, address: 'https://evil.example/' },
      { ...oidc, address: '//evil.example/' },
      { ...oidc, address: '/\\evil.example/' },
      { ...oidc, address: 'javascript:alert(1)' },
      { ...oidc, label: 7 },
      null,
    ];
    expect(readWays({ sign_in: [...odd, oidc] })).toEqual([{ label: 'The company', path: '/api/v1/sign-in/oidc' }]);
    for (const page of [null, {}, { sign_in: 'oidc' }, 7]) expect(readWays(page)).toEqual([]);
  });

  it('lead back to the view that is shown', () => {
    at('https://hub.example/hall/?kiosk=1#at=1,2,40&device=tag-7');
    const url = new URL(wayAddress({ label: 'x', path: '/api/v1/sign-in/oidc' }));
    expect(url.origin + url.pathname).toBe('https://hub.example/hall/api/v1/sign-in/oidc');
    expect(url.searchParams.get('return')).toBe('/hall/?kiosk=1#at=1,2,40&device=tag-7');
  });
});

describe('what became of a sign-in', () => {
  beforeEach(() => {
    vi.unstubAllGlobals();
  });

  it('leaves the address, and the view stays', () => {
    const shown = at('https://hub.example/?kiosk=1&sign_in_error=expired#at=1,2,40');
    const failure = takeFailureFromAddress();
    expect(failure).toBeInstanceOf(SignInFailure);
    expect(failure?.code).toBe('expired');
    expect(shown()).toBe('https://hub.example/?kiosk=1#at=1,2,40');
  });

  it('is a word, whatever somebody writes there', () => {
    at('https://hub.example/?sign_in_error=%3Cb%3ECall%20555%3C/b%3E');
    expect(takeFailureFromAddress()?.code).toBe('invalid_answer');
    const shown = at('https://hub.example/#at=1,2,40');
    expect(takeFailureFromAddress()).toBeUndefined();
    expect(shown()).toBe('https://hub.example/#at=1,2,40');
  });
});
