import type { Plugin } from 'vite';

import { brotli, gzip } from './encoded.ts';

interface Limits {
  readonly all: number;
  readonly first: number;
  readonly translation: number;
}

/**
 * Prints what each built file weighs, and fails the build above `all` kilobytes gzipped, or above `first` for what the
 * browser needs before it shows anything: the page, its style, its script with what that imports at once, its worker.
 * `all` is all that a reader of English can load; another language comes on top of it, at most `translation` each.
 * Everything together, as Brotli, which is how browsers get it over TLS, weighs at most `all` too.
 */
export function sizes({ all, first, translation }: Limits): Plugin {
  return {
    name: 'sizes',
    apply: 'build',
    writeBundle(_options, bundle) {
      let total = 0;
      let begin = 0;
      let german = 0;
      let overTls = 0;
      // What the page's script imports at once, chunk by chunk; a script or style of any other is loaded later.
      const atOnce = new Set<string>();
      const visit = (name: string): void => {
        const file = bundle[name];
        if (atOnce.has(name) || file?.type !== 'chunk') return;
        atOnce.add(name);
        file.viteMetadata?.importedCss.forEach((css) => atOnce.add(css));
        file.imports.forEach(visit);
      };
      for (const file of Object.values(bundle)) if (file.type === 'chunk' && file.isEntry) visit(file.fileName);
      const isLater = (file: (typeof bundle)[string]): boolean =>
        !atOnce.has(file.fileName) && (file.type === 'chunk' || file.fileName.endsWith('.css'));
      for (const file of Object.values(bundle).sort((a, b) => a.fileName.localeCompare(b.fileName))) {
        const content = Buffer.from(file.type === 'chunk' ? file.code : file.source);
        const bytes = gzip(content).length;
        overTls += brotli(content).length;
        if (file.fileName.includes('german')) german += bytes;
        else total += bytes;
        if (!isLater(file)) begin += bytes;
        this.info(`${file.fileName.padEnd(40)} ${kilobytes(bytes)} gzipped`);
      }
      for (const [name, bytes, coding, limit] of [
        ['first view', begin, 'gzipped', first],
        ['all', total, 'gzipped', all],
        ['German', german, 'gzipped', translation],
        ['all, with German', overTls, 'as Brotli', all],
      ] as const) {
        const line = `${name.padEnd(40)} ${kilobytes(bytes)} ${coding}, at most ${String(limit)} KB`;
        if (bytes > limit * 1_000) this.error(line);
        this.info(line);
      }
    },
  };
}

const kilobytes = (bytes: number): string => `${(bytes / 1_000).toFixed(1).padStart(6)} KB`;
