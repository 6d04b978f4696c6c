import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts', 'soak/**/*.test.ts'],
    // A deadline ends what hangs and judges no pace: any part of a busy machine may stand still for some seconds.
    testTimeout: 240_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 30_000 } },
    // One browser at a time: the machines of CI are small.
    fileParallelism: false,
  },
});
