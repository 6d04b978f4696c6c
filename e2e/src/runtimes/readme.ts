import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The example of the client's README whose fence says `js` and this. */
export function example(how: string): string {
  const text = readFileSync(join(import.meta.dirname, '../../../sdk/README.md'), 'utf8');
  const [, found] = new RegExp(`^\`\`\`js ${how}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(text) ?? [];
  if (found === undefined) throw new Error(`sdk/README.md has no example "js ${how}"`);
  return found;
}
