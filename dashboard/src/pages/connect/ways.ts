import drtls from './snippets/mqtt-drtls.toml?raw';
import file from './snippets/file.toml?raw';
import http from './snippets/http.sh?raw';
import javascript from './snippets/javascript.mjs?raw';
import pozyx from './snippets/mqtt-pozyx.toml?raw';
import python from './snippets/python.py?raw';
import replay from './snippets/replay.sh?raw';
import rust from './snippets/rust.rs?raw';
import serial from './snippets/serial.toml?raw';
import simulator from './snippets/simulator.toml?raw';
import tcp from './snippets/tcp.toml?raw';

/**
 * The ways in which locations come to the server, each with what has to be copied. The files are whole: a test gives each
 * configuration to `anita check-config` and builds the Rust program; another one runs the other programs.
 */

/** A table of `anita.toml`, or something that reports by itself with a token. */
export type Manner = 'configuration' | 'program';

export interface Way {
  readonly manner: Manner;
  readonly text: string;
}

export const WAYS = {
  drtls: { manner: 'configuration', text: drtls },
  pozyx: { manner: 'configuration', text: pozyx },
  serial: { manner: 'configuration', text: serial },
  tcp: { manner: 'configuration', text: tcp },
  file: { manner: 'configuration', text: file },
  simulator: { manner: 'configuration', text: simulator },
  http: { manner: 'program', text: http },
  javascript: { manner: 'program', text: javascript },
  python: { manner: 'program', text: python },
  rust: { manner: 'program', text: rust },
  replay: { manner: 'program', text: replay },
} as const satisfies Readonly<Record<string, Way>>;

export type WayName = keyof typeof WAYS;
export const WAY_NAMES = Object.keys(WAYS) as readonly WayName[];

/** What somebody has filled in. */
export interface Filled {
  readonly name: string;
  readonly url: string;
}

const URL_LINE = /^url = "([^"]*)"/m;

/** The address that the configuration has until somebody fills in another one; `undefined` where it needs none. */
export const urlOf = (text: string): string | undefined => URL_LINE.exec(text)?.[1];

/** The configuration with a name and an address; an empty one stays what it was. */
export function configured(text: string, { name, url }: Filled): string {
  let filled = text;
  if (name.trim() !== '') filled = filled.replace(/^name = "[^"]*"/m, () => `name = ${quoted(name.trim())}`);
  if (url.trim() !== '') filled = filled.replace(URL_LINE, () => `url = ${quoted(url.trim())}`);
  return filled;
}

/** A basic string of TOML, which escapes as JSON does, and DEL besides. */
const quoted = (text: string): string => JSON.stringify(text).replaceAll('\u007f', '\\u007f');

/** A program with the address of this server. */
export function addressed(text: string, base: URL): string {
  const http = base.href;
  const ws = http.replace(/^http/, 'ws');
  return text.replaceAll('http://127.0.0.1:8080/', () => http).replaceAll('ws://127.0.0.1:8080/', () => ws);
}
