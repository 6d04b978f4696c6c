import { AnitaError } from './errors.js';
import { shapes } from './wire.gen.js';

/** The first thing that keeps a value from having a shape: where it is, and what should be there. */
export interface Fault {
  /** `location.x`, `devices[3].kind`; empty for the value itself. */
  path: string;
  expected: string;
}

let table: Map<string, string[]> | undefined;

/** The fields of a type; `undefined` when the protocol does not name it. Their language is told where the table is. */
export function shapeOf(type: string): string[] | undefined {
  table ??= new Map(
    shapes.split('\n').flatMap((line) => {
      const [names = '', ...fields] = line.split(' ');
      return names.split(',').map((name): [string, string[]] => [name, fields]);
    }),
  );
  return table.get(type);
}

const scalars: Record<string, string> = { '': 'string', '#': 'number', '!': 'boolean' };

/** The first fault of a value, if it has one. */
export function faultOf(type: string, value: unknown, path = ''): Fault | undefined {
  const scalar = scalars[type];
  if (scalar)
    return typeof value === scalar && (type !== '#' || isFinite(value as number))
      ? undefined
      : { path, expected: scalar };
  const sign = type.charAt(0);
  const inner = type.slice(1);
  if (sign === '@') return value === null ? undefined : faultOf(inner, value, path);
  let fault: Fault | undefined;
  if (sign === '/') {
    // Where no form fits, the fault of the last one is told.
    inner.split('/').every((form) => (fault = faultOf(form, value, path)));
    return fault;
  }
  const fields = shapeOf(type);
  // Another name for a type.
  const [only = 'a', more] = fields ?? [];
  if (only < 'a' && !more) return faultOf(only, value, path);
  const isList = sign === '[';
  const isFine =
    sign === '='
      ? inner.split('|').includes(value as string)
      : sign === '*'
        ? value !== undefined
        : value !== null && typeof value === 'object' && Array.isArray(value) === isList;
  if (!isFine) return { path, expected: sign === '=' ? inner : isList ? 'array' : 'object' };
  const members = value as Record<string, unknown>;
  if (fields) {
    let type = '';
    let isOptional = false;
    for (const field of fields) {
      if (field === '?') isOptional = true;
      else if (field < 'a') type = field === "'" ? '' : field;
      // Where a field may be absent, `null` says the same.
      else if (!isOptional || members[field] != null) {
        fault ??= faultOf(type, members[field], path ? `${path}.${field}` : field);
      }
    }
  } else if (isList || sign === '%') {
    for (const name in members) fault ??= faultOf(inner, members[name], path + (isList ? `[${name}]` : `.${name}`));
  }
  return fault;
}

/**
 * Checks a payload against the shape of its type. Types that the protocol does not name are not judged, nor are unknown
 * fields: a newer server may send more.
 */
export function check(type: string, payload: unknown): AnitaError | undefined {
  const fault = shapeOf(type) && faultOf(type, payload);
  if (!fault) return undefined;
  const message = `${type}: ${fault.path || 'payload'} is not a valid ${fault.expected}`;
  return new AnitaError('validation', 'invalid_payload', message, { details: { type, ...fault } });
}
