import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const WAIT_MS = 60_000;

/** The real program in a folder of its own: an empty store in a file, a heartbeat of ten seconds, loopback. */
export class Program {
  readonly http: string;
  readonly ws: string;
  readonly #bin: string;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #output = '';

  private constructor(bin: string, folder: string, port: number) {
    this.#bin = bin;
    this.#folder = folder;
    this.http = `http://127.0.0.1:${port}`;
    this.ws = `ws://127.0.0.1:${port}`;
  }

  static async make(bin: string): Promise<Program> {
    const folder = mkdtempSync(join(tmpdir(), 'anita-sdk-'));
    const port = await freePort();
    writeFileSync(join(folder, 'jwt.secret'), 'a secret of tests, and of nothing else; 0123456789abcdef\n', {
      mode: 0o600,
    });
    const lines = [
      '[server]',
      `listen = "127.0.0.1:${port}"`,
      'plaintext = "loopback"',
      '[auth]',
      'issuer = "anita"',
      'audience = "anita"',
      'secret_file = "jwt.secret"',
      '[heartbeat]',
      'interval_secs = 10',
      '[storage]',
      'url = "sqlite:anita.db"',
    ];
    writeFileSync(join(folder, 'anita.toml'), `${lines.join('\n')}\n`);
    return new Program(bin, folder, port);
  }

  /** Starts it, and waits until it is ready. */
  async start(): Promise<void> {
    const child = spawn(this.#bin, ['serve', '--config', 'anita.toml'], { cwd: this.#folder });
    this.#child = child;
    const hear = (data: Buffer): void => {
      this.#output = (this.#output + data.toString()).slice(-10_000);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const isReady = (): Promise<boolean> =>
      fetch(`${this.http}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
    for (const end = Date.now() + WAIT_MS; !(await isReady());) {
      if (Date.now() > end || child.exitCode !== null) throw new Error(`the server is not ready:\n${this.#output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve, reject) => {
      child.once('exit', resolve);
      setTimeout(() => {
        reject(new Error(`the server does not end:\n${this.#output}`));
      }, WAIT_MS).unref();
    });
    child.kill(signal);
    await ended;
  }

  async token(subject: string, role: string, more: readonly string[] = []): Promise<string> {
    const args = ['token', '--config', 'anita.toml', '--subject', subject, '--role', role, ...more];
    return (await run(this.#bin, args, { cwd: this.#folder })).stdout.trim();
  }

  /** Asks by REST. */
  async post(path: string, role: string, body: unknown): Promise<void> {
    const answer = await fetch(`${this.http}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await this.token(role, role)}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${await answer.text()}`);
  }

  async remove(): Promise<void> {
    await this.stop('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A port that stays free: the system gives none of these to whoever connects without saying from where. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => {
        resolve(false);
      });
      probe.listen(port, '127.0.0.1', () => {
        probe.close(() => {
          resolve(true);
        });
      });
    });
    if (isFree) return port;
  }
}
