import { effect, signal } from '@preact/signals';
import type { Explanation } from '@anita/client/explain';

import { language } from '../words';
import type * as German from './german.table';
import type { Cause } from './log';

/**
 * The SDK explains failures in English; here they are said in German, where the words are known. What a server says in
 * its own words stays as it said it: only the remedy of its code is translated.
 */
const table = signal<typeof German | null>(null);

effect(() => {
  if (language.value !== 'de' || table.peek() !== null) return;
  import('./german.table').then(
    (loaded) => {
      table.value = loaded;
    },
    // Without it the sentences stay English.
    () => undefined,
  );
});

export function inGerman(cause: Cause, code: string, english: Explanation): Explanation {
  const words = language.value === 'de' ? table.value : null;
  if (words === null) return english;
  if (cause.by === 'close') return close(words, cause.code, english);
  const { meaning, remedy } = english;
  if (cause.by === 'page') {
    const own = words.own[`page ${code}`];
    return own?.for === meaning ? own : { meaning, remedy: words.remedies[code] ?? remedy };
  }
  const { kind, details } = cause.error;
  if (kind === 'server') return { meaning, remedy: words.remedies[code] ?? remedy };
  const own = words.own[`${kind} ${code}`] ?? words.own[code];
  if (own !== undefined) return own;
  const number = (details as { code?: unknown } | null | undefined)?.code;
  return typeof number === 'number'
    ? close(words, number, english)
    : { meaning, remedy: words.remedies[code] ?? remedy };
}

function close(words: typeof German, code: number, { meaning, remedy }: Explanation): Explanation {
  return { meaning: words.closes[code] ?? meaning, remedy: words.afterClose(code, remedy) };
}
