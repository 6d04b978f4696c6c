import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ROOT = join(import.meta.dirname, '../..');

export function missingIssuer(): string | undefined {
  return existsSync(join(ROOT, 'node_modules/oidc-provider')) ? undefined : 'oidc-provider is not installed: npm ci';
}

/** A real OpenID Connect issuer in a process of its own: the folder `issuer`. */
export interface Issuer {
  readonly address: string;
  /** What it answers to a line: its commands are in `issuer/provider.mjs`. */
  readonly ask: (line: string) => Promise<Record<string, unknown>>;
  readonly close: () => void;
}

export async function startIssuer(): Promise<Issuer> {
  const child = spawn('node', [join(ROOT, 'issuer/provider.mjs')], { stdio: ['pipe', 'pipe', 'ignore'] });
  const waiting: ((answer: Record<string, unknown>) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    // Its notices begin with another sign.
    if (line.startsWith('{')) waiting.shift()?.(JSON.parse(line) as Record<string, unknown>);
  });
  const next = (): Promise<Record<string, unknown>> => new Promise((heard) => waiting.push(heard));
  const { issuer } = await next();
  return {
    address: String(issuer),
    ask: async (line) => {
      const answer = next();
      child.stdin.write(`${line}\n`);
      const said = await answer;
      if (said['error'] !== undefined) throw new Error(JSON.stringify(said));
      return said;
    },
    close: () => {
      child.kill('SIGKILL');
    },
  };
}
