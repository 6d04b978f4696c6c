import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The real program: its path comes from whoever runs the tests. */
export const BIN = process.env['ANITA_BIN'];

export function missingProgram(): string | undefined {
  if (BIN === undefined) return 'ANITA_BIN is not set: it is the path of the program `anita`';
  return existsSync(BIN) ? undefined : `there is no program at ${BIN}`;
}

export interface Program {
  readonly output: () => string;
  /** As `kill -9` does. */
  readonly kill: () => Promise<void>;
}

/** Starts the program and waits until its output matches. */
async function start(args: readonly string[], ready: RegExp): Promise<Program> {
  const child: ChildProcess = spawn(BIN ?? 'anita', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const ended = new Promise<void>((done) =>
    child.once('exit', () => {
      done();
    }),
  );
  await new Promise<void>((done, fail) => {
    const timer = setTimeout(() => {
      fail(new Error(`anita ${args.join(' ')} did not say ${String(ready)}:\n${output}`));
      child.kill('SIGKILL');
    }, 60_000);
    const hear = (data: Buffer): void => {
      output += data.toString();
      if (!ready.test(output)) return;
      clearTimeout(timer);
      done();
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('error', fail);
    // Not at `exit`: what it printed last may come after that.
    child.once('close', (code) => {
      clearTimeout(timer);
      fail(new Error(`anita ${args.join(' ')} ended with ${String(code)}:\n${output}`));
    });
  });
  return {
    output: () => output,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

export interface Demo extends Program {
  /** `http://127.0.0.1:…/`, the plain loopback address. */
  readonly http: string;
  readonly https: string;
  readonly token: (role: string) => string;
}

export async function startDemo(devices = 20): Promise<Demo> {
  const program = await start(
    ['demo', '--listen', '127.0.0.1:0', '--devices', String(devices)],
    /Dashboard\s+\S+#token=\S+[\s\S]*admin\s+\S+\s/,
  );
  const said = program.output();
  const find = (pattern: RegExp): string => pattern.exec(said)?.[1] ?? '';
  return {
    ...program,
    http: find(/(http:\/\/127\.0\.0\.1:\d+\/)/),
    https: find(/(https:\/\/127\.0\.0\.1:\d+\/)/),
    token: (role) => find(new RegExp(`^\\s*${role}\\s+(\\S+)`, 'm')),
  };
}

/** A server with a configuration of its own in a folder of its own; it can be killed and started again. */
export interface Server {
  readonly http: string;
  /** The address of an endpoint, in plain text or over TLS: both are answered on the same port. */
  readonly url: (path: string, scheme?: 'ws' | 'wss') => string;
  readonly token: (role: string, ...more: string[]) => Promise<string>;
  readonly start: () => Promise<void>;
  readonly kill: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

/**
 * `more` is added to the configuration: tables of sources, for example. `ofServer` makes lines of its table `[server]`
 * from the server's address. `storage` is an address of a store: `sqlite:anita.db` lies in the server's folder. `tls` are
 * the lines of `[server.tls]`. A connection that is silent for two heartbeats is closed: where a test counts connections, or
 * has some that do not come back, `heartbeatSecs` is longer than a machine stands still.
 */
export async function makeServer(
  more = '',
  ofServer: (http: string) => string = () => '',
  storage = 'memory',
  tls = 'self_signed = true',
  heartbeatSecs = 5,
): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'anita-e2e-'));
  const port = await freePort();
  const config = join(folder, 'anita.toml');
  const http = `http://127.0.0.1:${String(port)}/`;
  writeFileSync(join(folder, 'jwt.secret'), 'a secret of the browser tests, 32 bytes or more\n', { mode: 0o600 });
  writeFileSync(
    config,
    `[server]
listen = "127.0.0.1:${String(port)}"
plaintext = "loopback"
${ofServer(http)}
[server.tls]
${tls}
[auth]
issuer = "anita"
audience = "anita"
secret_file = "jwt.secret"
[heartbeat]
interval_secs = ${String(heartbeatSecs)}
[storage]
url = "${storage}"
${more}`,
  );
  let running: Program | undefined;
  const kill = async (): Promise<void> => {
    await running?.kill();
    running = undefined;
  };
  return {
    http,
    url: (path, scheme = 'ws') => `${scheme}://127.0.0.1:${String(port)}${path}`,
    token: async (role, ...more) => {
      const subject = more.includes('--subject') ? [] : ['--subject', 'alice'];
      const args = ['token', '--config', config, '--role', role, ...subject, ...more];
      const { output } = await start(args, /^\S+\.\S+\.\S+\n/);
      return output().trim();
    },
    start: async () => {
      running = await patiently(() => start(['serve', '--config', config], /listening on/));
      await answers(http);
    },
    kill,
    remove: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until the server is ready. */
async function answers(http: string): Promise<void> {
  for (const end = Date.now() + 60_000; ;) {
    const ready = await fetch(`${http}readyz`).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return;
    if (Date.now() > end) throw new Error(`${http} did not get ready`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** Tries again for some seconds while somebody else has the port. */
async function patiently<T>(bind: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + 20_000; ;) {
    try {
      return await bind();
    } catch (error) {
      if (Date.now() > end || !/in use|EADDRINUSE/i.test(String(error))) throw error;
      await new Promise((done) => setTimeout(done, 250));
    }
  }
}

/** A port that stays free: the system gives none of these to whoever connects without saying from where. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const isFree = await new Promise<boolean>((done) => {
      const probe = createServer();
      probe.once('error', () => {
        done(false);
      });
      probe.listen(port, '127.0.0.1', () => {
        probe.close(() => {
          done(true);
        });
      });
    });
    if (isFree) return port;
  }
}
