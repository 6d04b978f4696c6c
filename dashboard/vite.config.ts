import { defineConfig, type PluginOption } from 'vite';

import { encoded } from './dev/encoded.ts';
import { keyless } from './dev/keyless.ts';
import { startMock } from './dev/mock.ts';
import { sizes } from './dev/sizes.ts';

/** `npm run dev` talks to a server on this address; `npm run dev:mock` starts a scripted one there. */
const SERVER = process.env['ANITA_URL'] ?? 'http://127.0.0.1:8080';

/** One file for what the other language says at once, and one for its parts that are loaded later: small ones compress badly. */
const GROUPS = [
  { name: 'german', test: /src\/words\/(de|german|keyed)\.ts/ },
  { name: 'german.parts', test: /\w\/words\/de\.ts|german\.(parts|table)/ },
];

const mock: PluginOption = {
  name: 'mock-server',
  configureServer: async (vite) => {
    const server = await startMock({ port: Number(new URL(SERVER).port) });
    vite.httpServer?.once('close', () => void server.close());
    vite.config.logger.info(`scripted server on ${server.url}, sign in with #token=${server.token}`);
  },
};

export default defineConfig(({ mode }) => ({
  base: './',
  plugins: [keyless(), encoded(), sizes({ all: 130, first: 60, translation: 12.5 }), mode === 'mock' && mock],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  worker: { format: 'es' as const },
  build: {
    target: 'es2022',
    // A data: URL would need its own word in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { output: { codeSplitting: { includeDependenciesRecursively: false, groups: GROUPS } } },
  },
  server: {
    proxy: {
      // The server takes pages of its own address only.
      '/api': { target: SERVER, changeOrigin: true, headers: { origin: new URL(SERVER).origin } },
      '/ws': { target: SERVER, ws: true, changeOrigin: true, headers: { origin: new URL(SERVER).origin } },
    },
  },
  test: {
    include: ['tests/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
  },
}));
