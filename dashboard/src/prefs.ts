import { effect, signal, type Signal } from '@preact/signals';

/** Choices that this browser remembers. A browser that refuses storage only forgets them. */

const PREFIX = 'anita.';

function read(name: string): unknown {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
}

function write(name: string, value: unknown): void {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // Private windows and full disks: nothing to do, the choice lasts as long as the page.
  }
}

/** A signal that survives a reload; a stored value that `valid` refuses is ignored. */
export function remembered<T>(name: string, initial: T, valid: (value: unknown) => value is T): Signal<T> {
  const stored = read(name);
  const kept = signal<T>(valid(stored) ? stored : initial);
  let first = true;
  effect(() => {
    const { value } = kept;
    if (!first) write(name, value);
    first = false;
  });
  return kept;
}

export const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';

export function oneOf<const T extends readonly unknown[]>(allowed: T): (value: unknown) => value is T[number] {
  return (value): value is T[number] => allowed.includes(value);
}
