// What the package holds: each file that its entries name and the texts of its licences, and nothing that only a server needs.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
const entries = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.values(entry)));
const wanted = ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', ...entries.map((path) => path.replace('./', ''))];

const [pack] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json'], { encoding: 'utf8' }));
const held = pack.files.map(({ path }) => path);
const faults = [
  ...wanted.filter((path) => !held.includes(path)).map((path) => `${path} is missing`),
  ...held.filter((path) => /\.(br|gz)$/.test(path)).map((path) => `${path} is for servers only`),
];
console.log(`${held.length} files, ${pack.size} bytes packed${faults.map((fault) => `\n${fault}`).join('')}`);
if (faults.length) process.exitCode = 1;
