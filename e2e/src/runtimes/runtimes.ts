import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { execFileSync } from 'node:child_process';

/** How a script of this folder is started by a runtime. */
export interface Runtime {
  readonly name: string;
  readonly command: readonly string[];
  readonly script: 'program.mjs' | 'thread.mjs';
  /** Whether the class of sockets is that of `ws`, and not the runtime's own. */
  readonly inject: boolean;
  /** What makes it trust a certificate of a local authority. */
  readonly trust: (file: string) => Record<string, string>;
  /** Why it can't run here. */
  readonly missing?: string;
}

const require = createRequire(import.meta.url);

/** A program that a package of the npm registry carries, or one of the system; `undefined` where there is neither. */
function find(packaged: string, name: string): string | undefined {
  try {
    return require.resolve(packaged);
  } catch {
    const folders = (process.env['PATH'] ?? '').split(delimiter);
    return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  }
}

function versionOf(command: string): string {
  return (/\d+(\.\d+)+/.exec(execFileSync(command, ['--version'], { encoding: 'utf8' })) ?? ['?'])[0];
}

/** A runtime that may not be there. */
function optional(name: string, packaged: string, args: readonly string[], trust: Runtime['trust']): Runtime {
  const path = find(packaged, name.toLowerCase());
  const more = { script: 'program.mjs', inject: false, trust } as const;
  if (path !== undefined) return { name: `${name} ${versionOf(path)}`, command: [path, ...args], ...more };
  return { name, command: [], ...more, missing: `no ${name}: \`npm ci\` brings it on Linux on x86-64` };
}

const major = Number(process.versions.node.split('.')[0]);
const nodeName = `Node ${process.versions.node}`;
const trustOfNode = (file: string): Record<string, string> => ({ NODE_EXTRA_CA_CERTS: file });
const node = { command: [process.execPath], script: 'program.mjs', inject: true, trust: trustOfNode } as const;

/** All that the tests know of. `ANITA_NODE` names one more Node, of version 22 or newer. */
export function runtimes(): Runtime[] {
  const other = process.env['ANITA_NODE'];
  return [
    { ...node, name: `${nodeName} with the socket of ws` },
    {
      ...node,
      name: `${nodeName} with its own socket`,
      // From 22 on it is there unasked.
      command: major >= 22 ? node.command : [process.execPath, '--experimental-websocket', '--no-warnings'],
      inject: false,
    },
    { ...node, name: `a worker thread of ${nodeName}`, script: 'thread.mjs' },
    ...(other === undefined
      ? []
      : [{ ...node, name: `Node ${versionOf(other)} with its own socket`, command: [other], inject: false }]),
    optional(
      'Deno',
      '@deno/linux-x64-glibc/deno',
      ['run', '--no-prompt', '--no-lock', '--no-remote', '--allow-net=127.0.0.1', '--allow-read', '--allow-env'],
      (file) => ({ DENO_CERT: file, DENO_NO_UPDATE_CHECK: '1' }),
    ),
    optional('Bun', '@oven/bun-linux-x64/bin/bun', ['run'], trustOfNode),
  ];
}
