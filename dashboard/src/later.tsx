import { signal } from '@preact/signals';
import type { FunctionComponent, JSX } from 'preact';

import type * as parts from './rest';
import { wordsOfParts } from './words';

type Rest = typeof parts;

/** What is not in the first view. */
export const rest = (): Promise<Rest> => import('./rest');

/**
 * A part of the page that is not in the first view: its file comes after that, before anybody asks for it, so that it
 * is there when the connection is lost. Until then it shows nothing.
 */
export function later<Props extends object>(
  pick: (parts: Rest) => FunctionComponent<Props>,
): { readonly Part: FunctionComponent<Props>; readonly fetch: () => Promise<void> } {
  const loaded = signal<FunctionComponent<Props> | null>(null);
  let loading: Promise<void> | undefined;
  const fetch = (): Promise<void> => {
    loading ??= rest().then(
      async (parts) => {
        // Nobody wants to see it in one language and then in another.
        await wordsOfParts();
        loaded.value = pick(parts);
      },
      () => {
        // The server may be away; the next one who wants it tries again.
        loading = undefined;
      },
    );
    return loading;
  };
  const Part = (props: Props): JSX.Element | null => {
    const Known = loaded.value;
    if (Known !== null) return <Known {...props} />;
    void fetch();
    return null;
  };
  return { Part, fetch };
}
