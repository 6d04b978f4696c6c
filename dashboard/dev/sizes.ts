import { gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

/**
 * Prints what each built file weighs, and fails the build above `all` kilobytes gzipped, or above `first` for what the
 * browser needs before it shows anything: the page, its style, its script with what that imports at once, its worker.
 */
export function sizes({ all, first }: { readonly all: number; readonly first: number }): Plugin {
  return {
    name: 'sizes',
    apply: 'build',
    writeBundle(_options, bundle) {
      let total = 0;
      let begin = 0;
      const later = new Set<string>();
      for (const file of Object.values(bundle)) {
        if (file.type === 'chunk' && file.isDynamicEntry) later.add(file.fileName);
        if (file.type === 'chunk' && file.isDynamicEntry)
          file.viteMetadata?.importedCss.forEach((css) => later.add(css));
      }
      for (const file of Object.values(bundle).sort((a, b) => a.fileName.localeCompare(b.fileName))) {
        const bytes = gzipSync(file.type === 'chunk' ? file.code : file.source, { level: 9 }).length;
        total += bytes;
        if (!later.has(file.fileName)) begin += bytes;
        this.info(`${file.fileName.padEnd(40)} ${kilobytes(bytes)} gzipped`);
      }
      for (const [name, bytes, limit] of [
        ['first view', begin, first],
        ['all', total, all],
      ] as const) {
        const line = `${name.padEnd(40)} ${kilobytes(bytes)} gzipped, at most ${String(limit)} KB`;
        if (bytes > limit * 1_000) this.error(line);
        this.info(line);
      }
    },
  };
}

const kilobytes = (bytes: number): string => `${(bytes / 1_000).toFixed(1).padStart(6)} KB`;
