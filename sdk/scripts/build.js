// Types by tsc, JavaScript by esbuild: `index.js` for bundlers, `anita.js` for pages without one.
import { rmSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
rmSync('dist', { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
const common = { entryPoints: ['src/index.ts'], bundle: true, format: 'esm', target: 'es2022', logLevel: 'warning' };
await build({ ...common, outfile: 'dist/index.js', sourcemap: true });
await build({ ...common, outfile: 'dist/anita.js', minify: true, legalComments: 'none' });
