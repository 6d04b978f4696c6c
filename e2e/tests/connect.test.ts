import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { BIN, makeServer, missingProgram, type Server } from '../src/anita.ts';
import { skipOrFail } from '../src/browser.ts';

/**
 * What the page `connect` offers as a program is run as it stands, with the server's address and a token. That its
 * configurations pass `anita check-config`, and that the Rust program builds, is shown in crates/anita/tests/connect_page.rs.
 */

const ROOT = join(import.meta.dirname, '../..');
const SNIPPETS = join(ROOT, 'dashboard/src/pages/connect/snippets');
const PYTHON = process.env['ANITA_PYTHON'] ?? join(ROOT, 'build/venv/bin/python');
/** Where it says that the server is. */
const WRITTEN = /127\.0\.0\.1:8080/g;

const missing = skipOrFail(missingProgram());

describe.skipIf(missing)('a program copied from the page reports', () => {
  let server: Server;
  let token: string;
  let viewer: string;
  /** With a recording in it; below it every program that a person would have is found. */
  let folder: string;
  let modules: string;

  beforeAll(async () => {
    server = await makeServer();
    await server.start();
    token = await server.token('publisher');
    viewer = await server.token('viewer');
    folder = mkdtempSync(join(tmpdir(), 'anita-connect-'));
    symlinkSync(BIN ?? '', join(folder, 'anita'));
    writeFileSync(join(folder, 'log.csv'), 't_s,tag_id,x_m,y_m,z_m\n0,replayed,1,2,0\n0.5,replayed,3,4,0\n');
    // From here Node finds the packages as it does in a project that has installed them.
    mkdirSync(join(ROOT, 'build'), { recursive: true });
    modules = mkdtempSync(join(ROOT, 'build/connect-'));
  }, 60_000);

  afterAll(async () => {
    await server.remove();
    for (const made of [folder, modules]) rmSync(made, { recursive: true, force: true });
  });

  /** Where a device is; `undefined` while the server does not know it. */
  async function seen(device: string): Promise<unknown> {
    const headers = { authorization: `Bearer ${viewer}` };
    const answer = await fetch(`${server.http}api/v1/devices/${device}`, { headers });
    if (answer.status === 404) return undefined;
    const { location } = (await answer.json()) as { location?: unknown };
    return location;
  }

  /** Starts a file of the page; what it printed, and a way to end it. */
  function run(command: string, file: string, place: string) {
    const text = readFileSync(join(SNIPPETS, file), 'utf8');
    const own = new URL(server.http).host;
    expect(text).toMatch(WRITTEN);
    const path = join(place, file);
    writeFileSync(path, text.replace(WRITTEN, own));
    const child = spawn(command, [path], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        ANITA_TOKEN: token,
        PATH: `${folder}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
        PYTHONPATH: join(ROOT, 'clients/python/src'),
      },
    });
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (output += data.toString()));
    const ended = new Promise<number | null>((done, fail) => {
      child.once('close', done);
      child.once('error', fail);
    });
    return {
      output: () => output,
      ended,
      stop: async () => {
        // With those that it started: a shell does not end what it waits for.
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
        await ended;
      },
    };
  }

  const programs = [
    { file: 'http.sh', command: 'bash' },
    { file: 'javascript.mjs', command: process.execPath },
    { file: 'python.py', command: PYTHON },
  ] as const;

  for (const [index, { file, command }] of programs.entries()) {
    it(`with ${file}`, async () => {
      // Each has to move the device itself: it is put elsewhere first.
      const elsewhere = { device_id: 'cart-7', location: { x: index, y: 0, z: 0 } };
      await fetch(`${server.http}api/v1/locations`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(elsewhere),
      });
      await expect.poll(() => seen('cart-7')).toEqual(elsewhere.location);
      const program = run(command, file, file === 'javascript.mjs' ? modules : folder);
      expect(await program.ended, program.output()).toBe(0);
      expect(program.output()).toContain('accepted');
      await expect.poll(() => seen('cart-7')).toEqual({ x: 1.5, y: 2, z: 0 });
    });
  }

  it('with replay.sh, again and again', async () => {
    const program = run('bash', 'replay.sh', folder);
    try {
      for (const location of [
        { x: 3, y: 4, z: 0 },
        { x: 1, y: 2, z: 0 },
        { x: 3, y: 4, z: 0 },
      ]) {
        await expect.poll(() => seen('replayed'), { interval: 5, message: program.output() }).toEqual(location);
      }
    } finally {
      await program.stop();
    }
  });
});
