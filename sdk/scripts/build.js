// One module a source by tsc: a bundler takes what is used. `anita.js` by esbuild, for pages without a bundler.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
rmSync('dist', { recursive: true, force: true });
// The texts are at the root of the repository, and in each package. With their times: they don't make the build look old.
for (const name of ['LICENSE-APACHE', 'LICENSE-MIT']) cpSync(`../${name}`, name, { preserveTimestamps: true });
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
await build({
  entryPoints: ['src/all.ts'],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  outfile: 'dist/anita.js',
});
// As the server sends it to those that take it so; it compresses nothing itself.
const bytes = readFileSync('dist/anita.js');
writeFileSync('dist/anita.js.br', brotliCompressSync(bytes));
writeFileSync('dist/anita.js.gz', gzipSync(bytes, { level: 9 }));
