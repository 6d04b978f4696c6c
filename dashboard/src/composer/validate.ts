import { forms, type Path, type Schema } from './schema';

/** The first thing that keeps a value from having a shape. */
export interface Wrong {
  readonly path: Path;
  readonly what:
    | { readonly is: 'missing'; readonly field: string }
    | { readonly is: 'unknown'; readonly field: string; readonly known: readonly string[] }
    | { readonly is: 'type'; readonly expected: string; readonly found: string }
    | { readonly is: 'word'; readonly allowed: readonly string[] }
    | { readonly is: 'range'; readonly least: number | undefined; readonly most: number | undefined }
    | { readonly is: 'length'; readonly least: number | undefined; readonly most: number | undefined };
}

/** What a value is, in JSON's words. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value;
}

/** The types that a form takes; a `const` or `enum` says them by its values. */
function typesOf(form: Schema): readonly string[] {
  if (form.type !== undefined) return typeof form.type === 'string' ? [form.type] : form.type;
  if (form.const !== undefined) return [kindOf(form.const)];
  if (form.enum !== undefined) return [...new Set(form.enum.map(kindOf))];
  return [];
}

const takes = (form: Schema, value: unknown): boolean => {
  const types = typesOf(form);
  const kind = kindOf(value);
  return types.length === 0 || types.includes(kind) || (types.includes('integer') && Number.isInteger(value));
};

/** The words that forms allow. */
export const wordsOf = (all: readonly Schema[]): readonly string[] =>
  all.flatMap(({ const: one, enum: many }) => [...(one === undefined ? [] : [one]), ...(many ?? [])]).map(String);

/**
 * The first fault of a value, if it has one. The server ignores fields that it does not know; written by hand they are
 * spelling mistakes, so they are told.
 */
export function findWrong(schema: Schema, value: unknown, root: Schema = schema, path: Path = []): Wrong | undefined {
  const all = forms(schema, root);
  const fitting = all.filter((form) => takes(form, value));
  if (all.length > 0 && fitting.length === 0) {
    const expected = [...new Set(all.flatMap(typesOf))].filter((type) => type !== 'null').join(' | ');
    return { path, what: { is: 'type', expected, found: kindOf(value) } };
  }
  const words = wordsOf(fitting);
  if (words.length > 0 && fitting.every((form) => form.const !== undefined || form.enum !== undefined)) {
    return words.includes(String(value)) ? undefined : { path, what: { is: 'word', allowed: words } };
  }
  // Where no form fits, the fault that lies deepest is told: that form was meant.
  let worst: Wrong | undefined;
  for (const form of fitting) {
    const wrong = wrongIn(form, value, root, path);
    if (wrong === undefined) return undefined;
    if (worst === undefined || isNearer(wrong, worst, value)) worst = wrong;
  }
  return worst;
}

/** Whether a fault tells more of what was meant: it lies deeper, or its form has more of the fields that are there. */
function isNearer(one: Wrong, other: Wrong, value: unknown): boolean {
  // An unknown field says that its object is of another form.
  const depth = ({ path, what }: Wrong): number => (what.is === 'unknown' ? path.length - 1 : path.length);
  if (depth(one) !== depth(other)) return depth(one) > depth(other);
  const isMissing = ({ what }: Wrong): boolean => what.is === 'missing';
  return isMissing(other) && !isMissing(one) && Object.keys(value ?? {}).length > 0;
}

function wrongIn(form: Schema, value: unknown, root: Schema, path: Path): Wrong | undefined {
  if (typeof value === 'number') {
    const { minimum: least, maximum: most } = form;
    const isWithin = value >= (least ?? -Infinity) && value <= (most ?? Infinity);
    return isWithin ? undefined : { path, what: { is: 'range', least, most } };
  }
  if (Array.isArray(value)) {
    const { minItems: least, maxItems: most, items } = form;
    if (value.length < (least ?? 0) || value.length > (most ?? Infinity)) {
      return { path, what: { is: 'length', least, most } };
    }
    return firstOf(value, (item, index) => (items ? findWrong(items, item, root, [...path, index]) : undefined));
  }
  if (typeof value === 'object' && value !== null)
    return wrongFields(form, value as Record<string, unknown>, root, path);
  return undefined;
}

function wrongFields(form: Schema, value: Record<string, unknown>, root: Schema, path: Path): Wrong | undefined {
  const { properties, required = [], additionalProperties: more } = form;
  const known = Object.keys(properties ?? {});
  const unknown = Object.keys(value).find((field) => !known.includes(field));
  // What has no type may be anything.
  if (unknown !== undefined && typeof more !== 'object' && typesOf(form).includes('object')) {
    return { path: [...path, unknown], what: { is: 'unknown', field: unknown, known } };
  }
  const missing = required.find((field) => !Object.hasOwn(value, field));
  if (missing !== undefined) return { path, what: { is: 'missing', field: missing } };
  return firstOf(Object.entries(value), ([field, inner]) => {
    const shape = properties?.[field] ?? (typeof more === 'object' ? more : undefined);
    return shape === undefined ? undefined : findWrong(shape, inner, root, [...path, field]);
  });
}

function firstOf<T, R>(items: readonly T[], look: (item: T, index: number) => R | undefined): R | undefined {
  for (const [index, item] of items.entries()) {
    const found = look(item, index);
    if (found !== undefined) return found;
  }
  return undefined;
}
