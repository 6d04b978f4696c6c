import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { BrowserContextOptions, Page } from 'playwright-core';

import { startMock, type Mock, type MockOptions } from '../../dashboard/dev/mock.ts';
import { openChrome, openPage, ROOT, type Chrome, type Watched } from './browser.ts';
import { live } from './page.ts';

/** The pages of some tests, and the scripted servers that they look at. */
export interface Visits {
  /** Starts a scripted server that has the built page. */
  readonly serve: (options?: MockOptions) => Promise<Mock>;
  /** A page of a browser profile of its own, which has gone nowhere yet. */
  readonly open: (url: string, options?: BrowserContextOptions) => Promise<Page>;
  /** Goes to a server with a token, and waits until what is shown is live. */
  readonly visit: (server: Place, where?: Where, options?: BrowserContextOptions) => Promise<Page>;
}

export interface Place {
  readonly url: string;
  readonly token: string;
}

export interface Where {
  /** Begins with `?`. */
  readonly query?: string;
  /** What follows the token in the fragment; begins with `&`. */
  readonly words?: string;
}

/**
 * One browser for the tests of a `describe`. After each of them its pages and servers are closed, and it has failed if
 * one of its pages had a fault.
 */
export function useVisits(): Visits {
  let chrome: Chrome;
  const watched: Watched[] = [];
  const mocks: Mock[] = [];
  beforeAll(async () => {
    chrome = await openChrome();
  });
  afterAll(() => chrome.close());
  afterEach(async () => {
    const faults = watched.flatMap((one) => one.faults);
    for (const one of watched.splice(0)) await one.close();
    for (const one of mocks.splice(0)) await one.close();
    expect(faults).toEqual([]);
  });

  async function serve(options: MockOptions = {}): Promise<Mock> {
    const mock = await startMock({ root: ROOT, tags: 20, ...options });
    mocks.push(mock);
    return mock;
  }
  async function open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const one = await openPage(chrome, url, options);
    watched.push(one);
    return one.page;
  }
  async function visit({ url, token }: Place, where: Where = {}, options: BrowserContextOptions = {}): Promise<Page> {
    const page = await open(url, options);
    await page.goto(`${url}${where.query ?? ''}#token=${token}${where.words ?? ''}`);
    await live(page);
    return page;
  }
  return { serve, open, visit };
}
