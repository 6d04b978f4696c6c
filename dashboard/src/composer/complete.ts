import { at, type Path, type Schema } from './schema';
import { wordsOf } from './validate';

/** What may stand at the cursor of a JSON text that is still being written. */

export interface Spot {
  readonly wants: 'field' | 'value';
  /** The object or list around the field, or the value itself. */
  readonly path: Path;
  /** The token that is being written: what is put in replaces it. */
  readonly from: number;
  readonly to: number;
  /** What of it stands before the cursor, without quotes. */
  readonly typed: string;
  /** The fields that the object has by now. */
  readonly present: readonly string[];
}

interface Level {
  readonly isList: boolean;
  key: string | undefined;
  index: number;
  /** After the colon, or in a list. */
  awaitsValue: boolean;
  readonly present: string[];
}

const TOKEN = /\s+|"(?:[^"\\\n]|\\.)*"?|[{}[\]:,]|[^\s"{}[\]:,]+/y;

/** What the cursor is in; `undefined` outside of the object. */
export function spotAt(text: string, cursor: number): Spot | undefined {
  const levels: Level[] = [];
  let token = { from: cursor, to: cursor };
  TOKEN.lastIndex = 0;
  for (let found = TOKEN.exec(text); found !== null; found = TOKEN.exec(text)) {
    const from = found.index;
    const to = TOKEN.lastIndex;
    const [part] = found;
    if (from >= cursor) break;
    const isWord = /^["\w-]/.test(part);
    // A string that is closed before the cursor is done; a bare word may go on.
    if (isWord && (cursor < to || (cursor === to && !isClosed(part)))) {
      token = { from, to };
      break;
    }
    step(levels, part);
  }
  const level = levels.at(-1);
  if (level === undefined) return undefined;
  const path = levels.flatMap((one, index): (string | number)[] => {
    if (index === levels.length - 1) return [];
    return [one.isList ? one.index : (one.key ?? '')];
  });
  const typed = text.slice(token.from, cursor).replace(/^"/, '');
  const present = presentIn(text, level, token);
  if (level.awaitsValue) {
    return {
      wants: 'value',
      path: [...path, level.isList ? level.index : (level.key ?? '')],
      ...token,
      typed,
      present,
    };
  }
  return level.key === undefined ? { wants: 'field', path, ...token, typed, present } : undefined;
}

const isClosed = (part: string): boolean => part.length > 1 && part.startsWith('"') && part.endsWith('"');

function step(levels: Level[], part: string): void {
  const level = levels.at(-1);
  if (part === '{' || part === '[') {
    if (level !== undefined) level.awaitsValue = false;
    const isList = part === '[';
    levels.push({ isList, key: undefined, index: 0, awaitsValue: isList, present: [] });
  } else if (part === '}' || part === ']') levels.pop();
  else if (level === undefined) return;
  else if (part === ',') {
    level.key = undefined;
    level.index += 1;
    level.awaitsValue = level.isList;
  } else if (part === ':') level.awaitsValue = level.key !== undefined;
  else if (part.trim() !== '') {
    if (level.awaitsValue) level.awaitsValue = false;
    else if (!level.isList && part.startsWith('"')) {
      level.key = part.replace(/^"|"$/g, '');
      level.present.push(level.key);
    }
  }
}

/** The fields of the object, those behind the cursor as well. */
function presentIn(text: string, level: Level, { to }: { readonly to: number }): readonly string[] {
  if (level.isList) return [];
  const after: string[] = [];
  let depth = 0;
  TOKEN.lastIndex = to;
  let last = '';
  for (let found = TOKEN.exec(text); found !== null && depth >= 0; found = TOKEN.exec(text)) {
    const [part] = found;
    if (part === '{' || part === '[') depth += 1;
    else if (part === '}' || part === ']') depth -= 1;
    else if (part === ':' && depth === 0) after.push(last.replace(/^"|"$/g, ''));
    if (part.trim() !== '') last = part;
  }
  return [...level.present, ...after];
}

export interface Choice {
  /** What is shown, and what is looked for. */
  readonly name: string;
  /** What is put in. */
  readonly text: string;
  /** The type, or nothing for a value. */
  readonly type: string;
  readonly isRequired: boolean;
  readonly description: string;
}

/** More than anybody reads. */
const CHOICES_MAX = 30;

/** What fits at the spot, the required fields first. */
export function choicesAt(schema: Schema, spot: Spot): readonly Choice[] {
  const all = spot.wants === 'field' ? fields(schema, spot) : values(schema, spot);
  const typed = spot.typed.toLowerCase();
  return all.filter(({ name }) => name.toLowerCase().startsWith(typed) && name !== spot.typed).slice(0, CHOICES_MAX);
}

function fields(schema: Schema, { path, present }: Spot): Choice[] {
  const found = new Map<string, Choice>();
  for (const form of at(schema, path)) {
    for (const [name, field] of Object.entries(form.properties ?? {})) {
      if (present.includes(name) || found.has(name)) continue;
      const inner = at(schema, [...path, name]);
      found.set(name, {
        name,
        text: `"${name}": `,
        type: typeNames(inner),
        isRequired: form.required?.includes(name) ?? false,
        description: firstLine(field.description ?? inner[0]?.description),
      });
    }
  }
  return [...found.values()].sort((a, b) => Number(b.isRequired) - Number(a.isRequired) || (a.name < b.name ? -1 : 1));
}

function values(schema: Schema, { path }: Spot): Choice[] {
  const inner = at(schema, path);
  const choice = (name: string, text: string, description = ''): Choice => ({
    name,
    text,
    type: '',
    isRequired: false,
    description: firstLine(description),
  });
  const words = inner.flatMap((form) =>
    wordsOf([form]).map((word) => choice(word, JSON.stringify(word), form.const === undefined ? '' : form.description)),
  );
  if (words.length > 0) return words;
  const types = new Set(inner.flatMap(({ type }) => type ?? []));
  if (types.has('boolean')) return [choice('true', 'true'), choice('false', 'false')];
  if (types.has('object')) return [choice('{}', '{}')];
  return types.has('array') ? [choice('[]', '[]')] : [];
}

function typeNames(all: readonly Schema[]): string {
  const words = wordsOf(all);
  if (words.length > 0) return words.join(' | ');
  return [...new Set(all.flatMap(({ type }) => type ?? []))].filter((type) => type !== 'null').join(' | ');
}

const firstLine = (text = ''): string => text.split('\n')[0] ?? '';
