import { gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

/** Prints what each built file weighs, and fails the build above `limit` kilobytes gzipped in all. */
export function sizes(limit: number): Plugin {
  return {
    name: 'sizes',
    apply: 'build',
    writeBundle(_options, bundle) {
      let total = 0;
      for (const file of Object.values(bundle).sort((a, b) => a.fileName.localeCompare(b.fileName))) {
        const bytes = gzipSync(file.type === 'chunk' ? file.code : file.source, { level: 9 }).length;
        total += bytes;
        this.info(`${file.fileName.padEnd(40)} ${kilobytes(bytes)} gzipped`);
      }
      const line = `${'all'.padEnd(40)} ${kilobytes(total)} gzipped, at most ${String(limit)} KB`;
      if (total > limit * 1_000) this.error(line);
      this.info(line);
    },
  };
}

const kilobytes = (bytes: number): string => `${(bytes / 1_000).toFixed(1).padStart(6)} KB`;
