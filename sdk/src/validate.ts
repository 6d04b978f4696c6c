import { AnitaError } from './errors.js';
import { shapes, type Shape } from './wire.gen.js';

const names: Record<string, string> = { s: 'string', n: 'number', b: 'boolean' };

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The first thing that keeps a value from having a shape: where it is, and what should be there. */
export interface Fault {
  /** `location.x`, `devices[3].kind`; empty for the value itself. */
  path: string;
  expected: string;
}

/** Looks for the first fault. Unknown fields are none: a newer server may send more. */
export function findFault(shape: Shape, value: unknown): Fault | undefined {
  if (typeof shape === 'string') {
    const isFine =
      shape === '*' ? value !== undefined : typeof value === names[shape] && (shape !== 'n' || Number.isFinite(value));
    return isFine ? undefined : { path: '', expected: names[shape] ?? 'value' };
  }
  if (isList(shape)) {
    const [sign, ...rest] = shape as readonly [string, ...unknown[]];
    const [inner = '*'] = rest as Shape[];
    switch (sign) {
      case '?':
        return value === null ? undefined : findFault(inner, value);
      case '=':
        return rest.includes(value) ? undefined : { path: '', expected: rest.join(' | ') };
      case '|': {
        let fault: Fault | undefined;
        for (const each of rest as Shape[]) {
          fault = findFault(each, value);
          if (!fault) break;
        }
        return fault;
      }
      case '[]':
        if (!Array.isArray(value)) return { path: '', expected: 'array' };
        for (const [index, each] of value.entries()) {
          const fault = findFault(inner, each);
          if (fault) return within(`[${index}]`, fault);
        }
        return undefined;
      case '{}':
        if (!isObject(value)) return { path: '', expected: 'object' };
        for (const name in value) {
          const fault = findFault(inner, value[name]);
          if (fault) return within(name, fault);
        }
        return undefined;
      default:
        return undefined;
    }
  }
  if (!isObject(value)) return { path: '', expected: 'object' };
  for (const [name, isOptional, inner] of fieldsOf(shape)) {
    // A field that is undefined is not in the JSON.
    if (isOptional && value[name] === undefined) continue;
    const fault = findFault(inner, value[name]);
    if (fault) return within(name, fault);
  }
  return undefined;
}

type Fields = Readonly<Record<string, Shape>>;

const fields = new WeakMap<Fields, [name: string, isOptional: boolean, shape: Shape][]>();

/** The fields of an object's shape, taken apart once. */
function fieldsOf(shape: Fields): [string, boolean, Shape][] {
  let list = fields.get(shape);
  if (!list) {
    list = Object.entries(shape).map(([field, inner]) => [field.replace(/\?$/, ''), field.endsWith('?'), inner]);
    fields.set(shape, list);
  }
  return list;
}

function isList(shape: Shape): shape is Extract<Shape, readonly unknown[]> {
  return Array.isArray(shape);
}

/** The same fault, seen from one step further out. */
function within(step: string, { path, expected }: Fault): Fault {
  return { path: step + (path && !path.startsWith('[') ? '.' : '') + path, expected };
}

/** Checks a payload against the shape of its type. Types that the protocol does not name are not judged. */
export function check(type: string, payload: unknown): AnitaError | undefined {
  const shape = shapeOf(type);
  const fault = shape && findFault(shape, payload);
  if (!fault) return undefined;
  const message = `${type}: ${fault.path || 'payload'} is not a valid ${fault.expected}`;
  return new AnitaError('validation', 'invalid_payload', message, { details: { type, ...fault } });
}

/** The shape of a type, if the protocol has it. */
export function shapeOf(type: string): Shape | undefined {
  return Object.hasOwn(shapes, type) ? shapes[type] : undefined;
}
