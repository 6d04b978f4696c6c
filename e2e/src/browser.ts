import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core';

/** The system's own browser: nothing is downloaded. */
export const CHROMIUM = process.env['ANITA_CHROMIUM'] ?? '/usr/bin/chromium';

/** Set by the test runner of the whole project: then a missing part is a failure and not a skip. */
export const REQUIRED = process.env['ANITA_TEST_REQUIRE_SERVICES'] === '1';

/** Why the browser tests cannot run here, or `undefined`. */
export function missingBrowser(): string | undefined {
  return existsSync(CHROMIUM)
    ? undefined
    : `no Chromium at ${CHROMIUM}: apt-get install chromium, or set ANITA_CHROMIUM`;
}

/** The built page. */
export const ROOT = join(import.meta.dirname, '../../dashboard/dist');

export function missingPage(): string | undefined {
  return existsSync(join(ROOT, 'index.html'))
    ? undefined
    : 'the dashboard is not built: npm run build --workspace dashboard';
}

/** Whether to skip: said aloud, and an error where nothing may be missing. */
export function skipOrFail(missing: string | undefined): boolean {
  if (missing === undefined) return false;
  if (REQUIRED) throw new Error(missing);
  console.warn(`skipped: ${missing}`);
  return true;
}

/** How it is started: without a window, and without words to anybody. */
export const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Chrome {
  readonly browser: Browser;
  readonly close: () => Promise<void>;
}

export async function openChrome(): Promise<Chrome> {
  const home = mkdtempSync(join(tmpdir(), 'anita-e2e-'));
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: FLAGS,
    env: { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
  });
  return {
    browser,
    close: async () => {
      await browser.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A page that watches itself: nothing it does may break the policy, throw, or leave its origin. */
export interface Watched {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What went wrong so far: policy violations, uncaught errors, foreign requests. */
  readonly faults: string[];
  readonly close: () => Promise<void>;
}

export async function openPage(chrome: Chrome, origin: string, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await chrome.browser.newContext({
    viewport: { width: 1280, height: 800 },
    ignoreHTTPSErrors: true,
    ...options,
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const faults: string[] = [];
  const { host } = new URL(origin);
  const isOwn = (address: string): boolean => /^(data|blob):/.test(address) || new URL(address).host === host;
  page.on('request', (request) => {
    if (!isOwn(request.url())) faults.push(`foreign request: ${request.url()}`);
  });
  page.on('websocket', (socket) => {
    if (!isOwn(socket.url())) faults.push(`foreign socket: ${socket.url()}`);
  });
  page.on('pageerror', (error) => faults.push(`uncaught: ${String(error)}`));
  page.on('console', (message) => {
    if (/content security policy|trusted ?type/i.test(message.text())) faults.push(`policy: ${message.text()}`);
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  return { page, context, faults, close: () => context.close() };
}
