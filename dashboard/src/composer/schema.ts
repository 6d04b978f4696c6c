import { call } from '../session';

/**
 * The shapes of requests, as the server publishes them under `/schema/`: what may be completed, and what is checked
 * before it is sent. A server that does not answer leaves both to the server.
 */

/** As much of JSON Schema as the protocol's schemas use. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly $defs?: Readonly<Record<string, Schema>>;
}

export interface Request {
  readonly type: string;
  /** The type of its answer. */
  readonly answer?: string;
}

/** More requests than a protocol will have; a page that is not the server's own says no more than this. */
const REQUESTS_MAX = 500;

const get = async (path: string): Promise<unknown> => (await call('GET', path)).json();

let requests: Promise<readonly Request[]> | undefined;

/** The requests that the server takes; what fails is asked for again the next time. */
export function loadRequests(): Promise<readonly Request[]> {
  requests ??= get('schema/').then(
    (index) => ((index as { requests?: readonly Request[] }).requests ?? []).slice(0, REQUESTS_MAX),
    (error: unknown) => {
      requests = undefined;
      throw error;
    },
  );
  return requests;
}

const schemas = new Map<string, Promise<Schema>>();

/** The shape of one request's payload. Only what is in the list is kept, so that the list bounds what is kept. */
export function loadSchema(type: string): Promise<Schema> {
  const known = schemas.get(type);
  if (known !== undefined) return known;
  const loading = get(`schema/${encodeURIComponent(type)}.json`) as Promise<Schema>;
  schemas.set(type, loading);
  loading.catch(() => schemas.delete(type));
  return loading;
}

/** How long a message that is to be sent waits for the shapes: then the server judges it. */
const SHAPES_MS = 2_000;

export interface Shapes {
  readonly requests: readonly Request[];
  readonly schema: Schema | undefined;
}

/** What a message of this type is checked by, asked for again where it is not here yet. */
export async function shapesOf(type: string): Promise<Shapes> {
  let shapes: Shapes = { requests: [], schema: undefined };
  const asked = (async () => {
    const requests = await loadRequests();
    shapes = { requests, schema: undefined };
    if (requests.some((one) => one.type === type)) shapes = { requests, schema: await loadSchema(type) };
  })();
  const late = new Promise((done) => setTimeout(done, SHAPES_MS));
  await Promise.race([asked.catch(() => undefined), late]);
  return shapes;
}

/** Where a value is within a payload: names of fields, and places in lists. */
export type Path = readonly (string | number)[];

/** The forms that a value may have, without references: `anyOf` and `oneOf` are taken apart. */
export function forms(schema: Schema, root: Schema, depth = 0): readonly Schema[] {
  if (depth > 16) return [];
  const { $ref: ref, anyOf, oneOf } = schema;
  if (ref !== undefined) {
    const found = root.$defs?.[ref.replace(/^#\/\$defs\//, '')];
    if (found === undefined) return [];
    const { description } = schema;
    const said = description === undefined ? found : { ...found, description };
    return forms(said, root, depth + 1);
  }
  const parts = anyOf ?? oneOf;
  if (parts === undefined) return [schema];
  // What stands beside the choice holds for every part of it.
  const { description } = schema;
  return parts.flatMap((part) =>
    forms(part, root, depth + 1).map((form) => (description === undefined ? form : { description, ...form })),
  );
}

/** The forms of the value at a path. */
export function at(root: Schema, path: Path): readonly Schema[] {
  let here = forms(root, root);
  for (const step of path) {
    here = here.flatMap((form) => {
      if (typeof step === 'number') return form.items === undefined ? [] : forms(form.items, root);
      const { properties, additionalProperties: more } = form;
      const field = properties?.[step] ?? (typeof more === 'object' ? more : undefined);
      return field === undefined ? [] : forms(field, root);
    });
  }
  return here;
}
