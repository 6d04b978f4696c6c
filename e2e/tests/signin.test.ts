import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { BrowserContextOptions, Page } from 'playwright-core';

import { makeServer, missingProgram, type Server } from '../src/anita.ts';
import { violations } from '../src/axe.ts';
import {
  missingBrowser,
  missingPage,
  openChrome,
  openPage,
  skipOrFail,
  type Chrome,
  type Watched,
} from '../src/browser.ts';
import { missingIssuer, startIssuer, type Issuer } from '../src/issuer.ts';
import { expectFocus, lines, live, row } from '../src/page.ts';

/** The real page and the real program at a real issuer: somebody signs in, is sent back, stays, and signs out. */

const missing = skipOrFail(missingBrowser() ?? missingPage() ?? missingProgram() ?? missingIssuer());

const SIGN_IN = (issuer: string): string => `
[[auth.issuers]]
issuer = "${issuer}"
discovery = true
token_type = "at+jwt"
roles_claims = ["scope"]
roles_allowed = ["viewer"]
[auth.issuers.sign_in]
label = "Company account"
client_id = "board"
client_secret_env = "ANITA_E2E_CLIENT_SECRET"
scopes = ["openid", "viewer"]
resource = "urn:anita:brief"
sign_out_at_issuer = true
`;

describe.skipIf(missing)('signing in at an issuer', () => {
  let chrome: Chrome;
  let issuer: Issuer;
  let server: Server;
  let opened: Watched[] = [];

  beforeAll(async () => {
    process.env['ANITA_E2E_CLIENT_SECRET'] = 'a secret of the client, not of the issuer';
    issuer = await startIssuer();
    server = await makeServer(SIGN_IN(issuer.address), (http) => `public_url = "${http}"`);
    await issuer.ask(`redirect ${server.http}api/v1/sign-in/oidc/callback`);
    await server.start();
    const locations = [1, 2, 3, 4, 5].map((n) => ({ device_id: `tag-${String(n)}`, location: { x: n, y: n, z: 1 } }));
    const reported = await fetch(`${server.http}api/v1/locations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await server.token('publisher')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ locations }),
    });
    expect(reported.status).toBe(200);
    chrome = await openChrome();
  });
  afterAll(async () => {
    await chrome.close();
    await server.remove();
    issuer.close();
  });
  afterEach(async () => {
    // The issuer is the one foreign place, and only the browser goes there: no page of ours asks for anything of it.
    const faults = opened.flatMap((one) => one.faults).filter((fault) => !fault.startsWith('foreign request: '));
    for (const one of opened) await one.close();
    opened = [];
    expect(faults).toEqual([]);
  });

  async function visit(options: BrowserContextOptions = {}): Promise<Watched & { readonly asked: string[] }> {
    const watched = await openPage(chrome, server.http, options);
    opened.push(watched);
    const asked: string[] = [];
    watched.page.on('request', (request) => {
      const isTop = request.isNavigationRequest() && request.frame() === watched.page.mainFrame();
      const isOfOurPage = request.frame().url().startsWith(server.http);
      if (!isTop && isOfOurPage && !request.url().startsWith(server.http)) asked.push(request.url());
    });
    return { ...watched, asked };
  }

  const button = (page: Page) => page.getByRole('button', { name: 'Sign in with Company account' });

  /** A page asks once which ways there are, and goes on without them where nobody says so within seconds. */
  async function offered(page: Page, name = 'Sign in with Company account'): Promise<void> {
    for (let round = 1; ; round += 1) {
      const isThere = await page
        .getByRole('button', { name })
        .waitFor({ timeout: 10_000 })
        .then(
          () => true,
          () => false,
        );
      if (isThere) return;
      if (round === 6) throw new Error(`There is no button “${name}”.`);
      await page.reload();
    }
  }

  /** At the form of the issuer, as a person fills it in. */
  async function signInThere(page: Page, login = 'alice'): Promise<void> {
    await page.getByPlaceholder('Enter any login').fill(login);
    await page.getByPlaceholder('and password').fill('any');
    await page.getByRole('button', { name: 'Sign-in' }).click();
    await page.getByRole('button', { name: 'Continue' }).click();
  }

  it('leads to the issuer and back to the same view, live; a reload stays in, and signing out ends it', async () => {
    const { page, context, asked } = await visit();
    const view = '#device=tag-1&trails=60';
    await page.goto(`${server.http}${view}`);
    await offered(page);
    await expectFocus(button(page));
    await page.keyboard.press('Enter');
    await signInThere(page);
    await live(page);
    expect(page.url().startsWith(server.http)).toBe(true);
    expect(new URLSearchParams(new URL(page.url()).hash.slice(1)).get('trails')).toBe('60');
    expect(new URL(page.url()).search).toBe('');
    for (const name of ['tag-1', 'tag-5']) await row(page, name).waitFor();
    await page.getByText('alice').first().waitFor();
    expect(asked).toEqual([]);

    // Nothing of the issuer is in the page: no token, no code, no state.
    const kept = await page.evaluate(() =>
      JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage), document.cookie]),
    );
    expect(kept).not.toMatch(/eyJ|code|state/);
    const cookies = await context.cookies(server.http);
    expect(cookies.find((it) => it.name === 'anita_session')).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
    expect(cookies.find((it) => it.name === 'anita_sign_in')).toMatchObject({ httpOnly: true, sameSite: 'Lax' });

    await page.reload();
    await live(page);

    // The tokens of this issuer are valid for half a minute: the page goes on beyond that, on the same connection.
    const end = (): Promise<string> =>
      page.evaluate(async () => {
        const answer = await fetch('/api/v1/session');
        if (!answer.ok) throw new Error(`the session is answered ${String(answer.status)}`);
        return ((await answer.json()) as { expires_at: string }).expires_at;
      });
    const first = await end();
    await expect.poll(end, { timeout: 60_000 }).not.toBe(first);
    const second = await end();
    await expect.poll(end, { timeout: 60_000 }).not.toBe(second);
    await live(page);
    expect(await lines(page, 'error').count()).toBe(0);

    // Out here, and out there: the issuer asks, sends the browser back, and knows nobody the next time.
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Yes, sign me out' }).click();
    await offered(page);
    expect(page.url()).toBe(server.http);
    await page.reload();
    await offered(page);
    await button(page).click();
    await page.getByPlaceholder('Enter any login').waitFor();
    expect(asked).toEqual([]);
  });

  it('says in words what went wrong, in the reader’s language, and begins again', async () => {
    const { page } = await visit({ locale: 'de-DE' });
    await page.goto(`${server.http}?sign_in_error=cancelled#device=tag-1`);
    await page.getByRole('alert').getByText('Die Anmeldung wurde abgebrochen.').waitFor();
    expect(new URL(page.url()).search).toBe('');
    expect(new URL(page.url()).hash).toBe('#device=tag-1');
    await offered(page, 'Mit Company account anmelden');
    await page.getByRole('button', { name: 'Mit Company account anmelden' }).click();
    await signInThere(page, 'nobody-else');
    await page.locator('.link[data-state=online]').waitFor({ timeout: 60_000 });
  });

  it('keeps the token form, folded, and has no accessibility violations in either theme, nor on a phone', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await visit({ colorScheme, viewport: { width: 390, height: 800 } });
      await page.goto(`${server.http}?sign_in_error=no_rights`);
      await page.getByText('You are known, but you have no rights here.').waitFor();
      expect(await page.getByLabel('Access token').isVisible()).toBe(false);
      await page.getByText('Sign in with a token', { exact: true }).click();
      await page.getByLabel('Access token').fill(await server.token('viewer'));
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
      expect(await violations(page)).toEqual([]);
      await page.keyboard.press('Enter');
      await page.locator('.link[data-state=online]').waitFor({ timeout: 60_000 });
    }
  });
});
