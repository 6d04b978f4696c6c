// The golden messages that server and client share: each file holds one envelope.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { decode } from '../src/envelope.js';
import { AnitaError } from '../src/errors.js';
import { check, shapeOf } from '../src/validate.js';

const root = fileURLToPath(new URL('../../conformance/wire', import.meta.url));

function files(kind: 'valid' | 'invalid'): [name: string, text: string][] {
  const folder = join(root, kind);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => [name, readFileSync(join(folder, name), 'utf8').trim()]);
}

/** The fault of a message, as the client sees it. */
function fault(text: string): AnitaError | undefined {
  const envelope = decode(text);
  return envelope instanceof AnitaError ? envelope : check(envelope.type, envelope.payload);
}

/** What only the server sees: equal keys, depth, lengths, ranges, the rules of names and ids, which types there are. */
const SERVER_ONLY =
  /out_of_range|too_long|of_three|at_once|duplicate|nested|is_empty|with_a_|without_a_zone|surrogate|unknown_type|in_capitals|^id_is/;

const valid = files('valid');
const invalid = files('invalid');

describe.skipIf(valid.length === 0)('valid messages', () => {
  test.each(valid)('%s', (_, text) => {
    const envelope = decode(text);
    expect(envelope).not.toBeInstanceOf(AnitaError);
    if (envelope instanceof AnitaError) return;
    expect(shapeOf(envelope.type), `a shape of ${envelope.type}`).toBeDefined();
    expect(check(envelope.type, envelope.payload)?.message).toBeUndefined();
    // Numbers and texts come back as they were.
    expect(decode(JSON.stringify(envelope))).toEqual(envelope);
  });
});

/** What the server refuses: the raw text of a message, and the code. */
interface Refused {
  text: string;
  error: string;
}

describe.skipIf(invalid.length === 0)('invalid messages', () => {
  test.each(invalid.filter(([name]) => !SERVER_ONLY.test(name)))('%s', (_, file) => {
    const { text } = JSON.parse(file) as Refused;
    expect(fault(text)).toBeInstanceOf(AnitaError);
  });
});
