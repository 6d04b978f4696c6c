// The conversations that every client plays against the real program: conformance/client/README.md says what a line means.
// ANITA_BIN=…/anita npm test -- conversations
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { Conversation } from './conversation.js';

const folder = fileURLToPath(new URL('../../conformance/client/', import.meta.url));
const program = process.env['ANITA_BIN'];
const scripts = readdirSync(folder).filter((name) => name.endsWith('.script'));

test('there are conversations', () => {
  expect(scripts.length).toBeGreaterThan(10);
});

describe.skipIf(program === undefined)('the conversation', () => {
  test.concurrent.each(scripts)('%s', { timeout: 240_000 }, async (name) => {
    const conversation = await Conversation.begin(program!);
    try {
      for (const [index, line] of readFileSync(folder + name, 'utf8')
        .split('\n')
        .entries()) {
        const sentence = line.replace(/#.*$/, '').trim();
        if (sentence === '') continue;
        await conversation.play(sentence).catch((error: unknown) => {
          throw new Error(
            `${name}:${index + 1}: ${sentence}\n${error instanceof Error ? error.message : String(error)}`,
          );
        });
      }
    } finally {
      await conversation.end();
    }
  });
});
