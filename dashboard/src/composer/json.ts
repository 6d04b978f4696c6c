/**
 * Where a text stops being JSON, and what was expected there. Browsers say it differently, or not at all; so the place is
 * found here, after `JSON.parse` has refused the text.
 */
export interface JsonFault {
  readonly at: number;
  readonly expected: Expected;
}

export type Expected =
  'field' | 'fieldName' | 'item' | 'value' | 'quote' | 'colon' | 'commaBrace' | 'commaBracket' | 'end';

export function findJsonFault(text: string): JsonFault | undefined {
  const reader = new Reader(text);
  try {
    reader.value();
    reader.end();
    return undefined;
  } catch (fault) {
    if (fault instanceof Fault) return { at: fault.at, expected: fault.expected };
    throw fault;
  }
}

class Fault extends Error {
  readonly at: number;
  readonly expected: Expected;

  constructor(at: number, expected: Expected) {
    super(expected);
    this.at = at;
    this.expected = expected;
  }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// eslint-disable-next-line no-control-regex -- JSON forbids bare control characters in strings
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\n\r]*/y;

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): void {
    this.#take(SPACE);
    const first = this.#text[this.#at];
    if (first === '{') this.#list('}', 'field', 'fieldName', true);
    else if (first === '[') this.#list(']', 'item', 'value', false);
    else if (first === '"') this.#string('quote');
    else if (!this.#take(WORD) && !this.#take(NUMBER)) this.#fail('value');
  }

  end(): void {
    this.#take(SPACE);
    if (this.#at < this.#text.length) this.#fail('end');
  }

  #list(close: string, first: Expected, next: Expected, named: boolean): void {
    this.#at += 1;
    this.#take(SPACE);
    if (this.#is(close)) return;
    for (let expected = first; ; expected = next) {
      this.#take(SPACE);
      if (named) this.#field(expected);
      else if (this.#text[this.#at] === close) this.#fail(expected);
      this.value();
      this.#take(SPACE);
      if (this.#is(close)) return;
      if (!this.#is(',')) this.#fail(close === '}' ? 'commaBrace' : 'commaBracket');
    }
  }

  #field(expected: Expected): void {
    this.#string(expected);
    this.#take(SPACE);
    if (!this.#is(':')) this.#fail('colon');
  }

  #string(expected: Expected): void {
    if (!this.#take(STRING)) this.#fail(expected);
  }

  #is(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) return false;
    this.#at += found[0].length;
    return true;
  }

  #fail(expected: Expected): never {
    throw new Fault(this.#at, expected);
  }
}

/** Where each value of a JSON text stands, by its path as `JSON.stringify` writes it; for a text without a fault. */
export function placesIn(text: string): ReadonlyMap<string, { readonly from: number; readonly to: number }> {
  const places = new Map<string, { from: number; to: number }>();
  let at = 0;
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? '';
    at += found.length;
    return found;
  };
  const value = (path: readonly (string | number)[]): void => {
    take(SPACE);
    const from = at;
    const open = text[at];
    if (open === '{' || open === '[') {
      at += 1;
      for (let index = 0; ; index += 1) {
        take(SPACE);
        if (text[at] === ',') at += 1;
        take(SPACE);
        if (at >= text.length || text[at] === '}' || text[at] === ']') break;
        if (open === '[') value([...path, index]);
        else {
          const key = JSON.parse(take(STRING)) as string;
          take(SPACE);
          at += 1;
          value([...path, key]);
        }
      }
      at += 1;
    } else if (take(STRING) === '' && take(WORD) === '') take(NUMBER);
    places.set(JSON.stringify(path), { from, to: at });
  };
  value([]);
  return places;
}
