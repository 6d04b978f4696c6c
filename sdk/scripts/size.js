// What each entry brings to a page: bundled and minified by esbuild, gzipped. Fails above a limit.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;

/** The size of a module that uses this of the built package; `stubs` stand for modules of it. */
async function sizeOf(text, stubs = {}) {
  const result = await build({
    absWorkingDir: root,
    stdin: { contents: text, resolveDir: root },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    external: ['react'],
    write: false,
    plugins: [
      {
        name: 'stubs',
        setup(it) {
          it.onLoad({ filter: /\.js$/ }, ({ path }) => {
            const stub = Object.entries(stubs).find(([name]) => path.endsWith(name));
            return stub && { contents: stub[1] };
          });
        },
      },
    ],
  });
  return gzipped(result.outputFiles[0].contents);
}

const core = "export { AnitaClient } from './dist/index.js';";
const noValidation = { '/validate.js': 'export const check = () => undefined, shapeOf = () => undefined;' };
const client = await sizeOf(core);
const beside = async (text) => (await sizeOf(core + text)) - client;
// 1 KB is 1,024 bytes, here and in the table of the README. The first two limits are the budget of the core, 4.5 and 6 KB;
// the others are what it was, and 2 %.
const sizes = [
  ['AnitaClient without validation', await sizeOf(core, noValidation), 4_608],
  ['AnitaClient', client, 6_144],
  ['@anita/client, all that it exports', await sizeOf("export * from './dist/index.js';"), 8_908],
  ['anita.js, everything in one file', gzipped(readFileSync(`${root}/dist/anita.js`)), 11_666],
  ['beside AnitaClient: rooms', await beside("export { rooms } from './dist/index.js';")],
  ['beside AnitaClient: stream, with rooms', await beside("export { stream } from './dist/index.js';")],
  ['beside AnitaClient: subscribe', await beside("export { subscribe } from './dist/index.js';")],
  ['beside AnitaClient: debug', await beside("export { debug } from './dist/index.js';")],
  ['beside AnitaClient: /store, with rooms', await beside("export * from './dist/store.js';")],
  ['beside AnitaClient: /explain', await beside("export * from './dist/explain.js';")],
  ['/react', await sizeOf("export * from './dist/react.js';")],
];
const inKb = (bytes) => (bytes / 1_024).toFixed(1);
for (const [name, bytes, bytesMax] of sizes) {
  const limit = bytesMax ? `, at most ${bytesMax}` : '';
  console.log(`${name.padEnd(40)} ${String(bytes).padStart(6)} bytes, ${inKb(bytes).padStart(4)} KB${limit}`);
  if (bytes > bytesMax) {
    console.error('over its limit');
    process.exitCode = 1;
  }
}
