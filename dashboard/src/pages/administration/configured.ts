import type { ConfiguredValue } from './rest';
import { matches } from './rows';

/** The configuration in sections, as far as it is looked for. */

export interface Section {
  readonly name: string;
  readonly values: readonly ConfiguredValue[];
}

/** `sources[0].url` belongs to `sources[0]`, `auth.issuers[1].audience` to `auth.issuers[1]`, `heartbeat.x` to `heartbeat`. */
export function sectionOf(key: string): string {
  const dot = key.lastIndexOf('.');
  return dot < 0 ? '' : key.slice(0, dot);
}

/** The key within its section. */
export const nameOf = (key: string): string => key.slice(key.lastIndexOf('.') + 1);

/** Where a value came from: the first word; what follows says which variable. */
export type Origin = 'default' | 'file' | 'environment' | 'other';
export function originOf(origin: string): Origin {
  const word = origin.split(/[\s:(]/)[0];
  return word === 'default' || word === 'file' || word === 'environment' ? word : 'other';
}

/** What stands in the place of a secret. */
const HIDDEN = '…';

export const isHidden = (value: unknown): boolean => value === HIDDEN;

/** As people write it: texts without their quotes, lists and tables as JSON. */
export const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

export function sections(values: readonly ConfiguredValue[], search: string, changedOnly: boolean): readonly Section[] {
  const found = new Map<string, ConfiguredValue[]>();
  for (const one of values) {
    if (changedOnly && originOf(one.origin) === 'default') continue;
    if (!matches(search, [one.key, shown(one.value), one.origin])) continue;
    const name = sectionOf(one.key);
    found.set(name, [...(found.get(name) ?? []), one]);
  }
  return [...found].map(([name, inIt]) => ({ name, values: inIt }));
}
