// What a page loads, gzipped: prints the parts, fails above a limit.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const CORE_BYTES_MAX = 6 * 1024;
const ALL_BYTES_MAX = 11 * 1024;
const root = fileURLToPath(new URL('..', import.meta.url));
const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;

/** The size with some modules replaced by empty ones. */
async function sizeWithout(stubs) {
  const result = await build({
    absWorkingDir: root,
    entryPoints: ['src/index.ts'],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
    plugins: [
      {
        name: 'stubs',
        setup(it) {
          it.onLoad({ filter: /\.ts$/ }, ({ path }) => {
            const stub = Object.entries(stubs).find(([name]) => path.endsWith(name));
            return stub && { contents: stub[1], loader: 'ts' };
          });
        },
      },
    ],
  });
  return gzipped(result.outputFiles[0].contents);
}

const tables = { '/wire.gen.ts': 'export const shapes = {}, closeCodes = {}, errorCodes = {};' };
const devices = { '/devices.ts': 'export class Devices {}' };
const views = { '/views.ts': 'export class Views {}' };
const all = gzipped(readFileSync(`${root}/dist/anita.js`));
const core = await sizeWithout({ ...tables, ...devices, ...views });

console.log(`core, validation included                      ${core} bytes gzipped, at most ${CORE_BYTES_MAX}`);
console.log(`the map of devices                             ${(await sizeWithout({ ...tables, ...views })) - core}`);
console.log(`subscriptions                                  ${(await sizeWithout({ ...tables, ...devices })) - core}`);
console.log(`generated: shapes, codes and their sentences   ${all - (await sizeWithout(tables))}`);
console.log(`anita.js                                       ${all} bytes gzipped, at most ${ALL_BYTES_MAX}`);
if (core > CORE_BYTES_MAX || all > ALL_BYTES_MAX) {
  console.error('The client is over its limit.');
  process.exitCode = 1;
}
