import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeServer, missingProgram, type Server } from '../src/anita.ts';
import { REQUIRED, skipOrFail } from '../src/browser.ts';
import { makeCertificate, type Certificate } from '../src/runtimes/certificate.ts';
import { example } from '../src/runtimes/readme.ts';
import { startReporter, type Reporter } from '../src/runtimes/reporter.ts';
import { runtimes, type Runtime } from '../src/runtimes/runtimes.ts';
import { startSite, type Site } from '../src/runtimes/site.ts';

/** The built client as a program of each runtime, against the real program: over TLS, with a server that is killed. */

const missing = skipOrFail(missingProgram());
const PATIENCE = { timeout: 60_000 };
const BUILD = join(import.meta.dirname, '../../build');

interface Running {
  readonly output: () => string;
  /** What it told so far, where that is JSON. */
  readonly told: Record<string, unknown>[];
  readonly errors: () => string;
  /** Its exit code, once it has ended. */
  readonly code: () => number | null;
  readonly kill: () => void;
}

function walk(runtime: Runtime, options: object, environment: Record<string, string>): Running {
  const script = join(import.meta.dirname, '../src/runtimes', runtime.script);
  return run(runtime, [script, JSON.stringify({ ...options, inject: runtime.inject })], environment);
}

function run(runtime: Runtime, more: readonly string[], environment: Record<string, string>): Running {
  const [program = '', ...args] = runtime.command;
  const child = spawn(program, [...args, ...more], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  let code: number | null = null;
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  child.on('close', (ended) => (code = ended ?? -1));
  return {
    output: () => output,
    get told() {
      const lines = output.slice(0, output.lastIndexOf('\n') + 1).split('\n');
      return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    errors: () => errors,
    code: () => code,
    kill: () => child.kill('SIGKILL'),
  };
}

describe.skipIf(missing)('the client runs in', () => {
  let folder: string;
  let certificate: Certificate;
  let server: Server;
  let site: Site;
  let reporter: Reporter;

  beforeAll(async () => {
    mkdirSync(BUILD, { recursive: true });
    folder = mkdtempSync(join(tmpdir(), 'anita-runtimes-'));
    certificate = makeCertificate(folder);
    const { certificate: cert, key } = certificate;
    const files = `cert_file = ${JSON.stringify(cert)}\nkey_file = ${JSON.stringify(key)}`;
    // Attempts and connections are counted: none is lost because a machine stood still.
    server = await makeServer('', undefined, undefined, files, 25);
    await server.start();
    const token = await server.token('viewer', '--ttl', '1h');
    site = await startSite(() => Promise.resolve(token));
    reporter = await startReporter(server);
  });
  afterAll(async () => {
    reporter.close();
    await site.close();
    await server.remove();
    rmSync(folder, { recursive: true });
  });

  /** Nothing is kept outside the folder of the test. */
  const environmentOf = (runtime: Runtime): Record<string, string> => ({
    ...runtime.trust(certificate.authority),
    HOME: folder,
    DENO_DIR: join(folder, 'deno'),
  });

  async function connections(): Promise<number> {
    const text = await (await fetch(`${server.http}metrics`)).text();
    return Number(/^anita_connections (\d+)$/m.exec(text)?.[1]);
  }

  for (const runtime of runtimes()) {
    const { missing: lack } = runtime;
    if (lack !== undefined) console.warn(`skipped: ${lack}`);
    // The platforms that have none of a package's binaries are no place for the whole test run.
    if (lack !== undefined && REQUIRED && process.platform === 'linux' && process.arch === 'x64') throw new Error(lack);

    it.skipIf(lack !== undefined)(runtime.name, async () => {
      site.asks.length = 0;
      await reporter.walkTo(1);
      const options = { url: server.url('/ws', 'wss'), tokenUrl: `${site.origin}/token`, lastX: 4 };
      const running = walk(runtime, options, environmentOf(runtime));
      try {
        // Whether it told this; what it said when it failed is worth more than that it did not.
        const tells = (what: object): Promise<void> =>
          expect
            .poll(() => {
              if (running.code() !== null) throw new Error(`it ended:\n${running.errors()}`);
              return running.told;
            }, PATIENCE)
            .toContainEqual(what);
        await tells({ x: 1 });
        await reporter.walkTo(2);
        await tells({ x: 2 });

        await server.kill();
        await tells({ state: 'waiting' });
        await server.start();
        // The view is asked for again, and the room is joined again.
        await reporter.walkTo(3);
        await tells({ x: 3 });
        await expect
          .poll(async () => {
            await reporter.tell({ heard: 'in the hall' });
            return running.told;
          }, PATIENCE)
          .toContainEqual({ heard: { heard: 'in the hall' } });

        await reporter.walkTo(4);
        await expect.poll(running.code, PATIENCE).not.toBeNull();
        expect({ code: running.code(), errors: running.errors() }).toEqual({ code: 0, errors: '' });
        expect(running.told.at(-1)).toEqual({ reconnects: 1, invalid: 0, unknown: 0 });
        expect(running.told.at(-2)).toEqual({ state: 'closed' });
        expect(running.told.filter(({ state }) => state === 'online')).toHaveLength(2);
        // A token for each attempt that came so far as to want one.
        expect(site.asks.length).toBeGreaterThanOrEqual(2);
        expect(new Set(site.asks)).toEqual(new Set(['connect']));
        // It is gone for the server too, and so are its places in rooms and views.
        await expect.poll(connections, PATIENCE).toBe(1);
      } finally {
        running.kill();
      }
    });

    it.skipIf(lack !== undefined || runtime.script === 'thread.mjs')(`${runtime.name}, by the README`, async () => {
      const how = runtime.inject ? 'program with ws' : 'program';
      // Beside the packages, for its imports.
      const script = join(mkdtempSync(join(BUILD, 'readme-')), 'example.mjs');
      writeFileSync(script, example(how));
      await reporter.walkTo(1);
      const running = run(runtime, [script], {
        ...environmentOf(runtime),
        ANITA_URL: server.url('/ws', 'wss'),
        ANITA_TOKEN: await server.token('viewer'),
      });
      try {
        await expect.poll(running.code, PATIENCE).not.toBeNull();
        expect({ code: running.code(), errors: running.errors() }).toEqual({ code: 0, errors: '' });
        expect(running.output()).toMatch(runtime.inject ? /^alice\n$/ : /walker/);
      } finally {
        running.kill();
        rmSync(dirname(script), { recursive: true });
      }
    });
  }
});
