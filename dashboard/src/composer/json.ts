/**
 * Where a text stops being JSON, and what was expected there. Browsers say it differently, or not at all; so the place is
 * found here, after `JSON.parse` has refused the text.
 */
export interface JsonFault {
  readonly at: number;
  readonly expected: string;
}

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
  readonly expected: string;

  constructor(at: number, expected: string) {
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
    if (first === '{') this.#list('}', 'a field or “}”', 'a field name in double quotes', true);
    else if (first === '[') this.#list(']', 'a value or “]”', 'a value', false);
    else if (first === '"') this.#string('a closing double quote');
    else if (!this.#take(WORD) && !this.#take(NUMBER)) this.#fail('a value');
  }

  end(): void {
    this.#take(SPACE);
    if (this.#at < this.#text.length) this.#fail('the end');
  }

  #list(close: string, first: string, next: string, named: boolean): void {
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
      if (!this.#is(',')) this.#fail(`“,” or “${close}”`);
    }
  }

  #field(expected: string): void {
    this.#string(expected);
    this.#take(SPACE);
    if (!this.#is(':')) this.#fail('“:”');
  }

  #string(expected: string): void {
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

  #fail(expected: string): never {
    throw new Fault(this.#at, expected);
  }
}
