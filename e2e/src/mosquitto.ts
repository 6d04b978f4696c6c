import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from './anita.ts';

const BROKER = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/usr/bin/mosquitto'].find((path) =>
  existsSync(path),
);

export function missingBroker(): string | undefined {
  return BROKER === undefined ? 'no Mosquitto: apt-get install mosquitto mosquitto-clients' : undefined;
}

/** A real broker on a free port. */
export interface Broker {
  readonly port: number;
  /** Publishes each line as a message of its own, in order, at QoS 1; done when the broker has them all. */
  readonly publish: (topic: string, lines: readonly string[]) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export async function startBroker(): Promise<Broker> {
  const folder = mkdtempSync(join(tmpdir(), 'anita-mosquitto-'));
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  writeFileSync(config, `listener ${String(port)} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n`);
  const child = spawn(BROKER ?? 'mosquitto', ['-c', config], { stdio: 'ignore' });
  await reachable(port);
  return {
    port,
    publish: async (topic, lines) => {
      const args = ['-p', String(port), '-h', '127.0.0.1', '-q', '1', '-t', topic, '-l'];
      const publisher = spawn('mosquitto_pub', args, { stdio: ['pipe', 'ignore', 'inherit'] });
      publisher.stdin.end(`${lines.join('\n')}\n`);
      const code = await exit(publisher);
      if (code !== 0) throw new Error(`mosquitto_pub ended with ${String(code)}`);
    },
    stop: async () => {
      child.kill('SIGTERM');
      await exit(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function exit(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((done) => child.once('exit', done));
}

/** Waits until somebody listens on the port. */
async function reachable(port: number): Promise<void> {
  for (const end = Date.now() + 60_000; ;) {
    const isThere = await new Promise<boolean>((done) => {
      const probe = connect(port, '127.0.0.1');
      probe.once('connect', () => {
        probe.destroy();
        done(true);
      });
      probe.once('error', () => {
        done(false);
      });
    });
    if (isThere) return;
    if (Date.now() > end) throw new Error(`no broker on port ${String(port)}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
