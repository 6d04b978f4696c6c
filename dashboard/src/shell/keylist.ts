import type { en } from './words/en';

/** Every key and what it does, as the help shows it. */
export const KEYS: readonly { keys: readonly string[]; does: `key.${string}` & keyof typeof en }[] = [
  { keys: ['/'], does: 'key.search' },
  { keys: ['↑', '↓'], does: 'key.walk' },
  { keys: ['Enter'], does: 'key.centre' },
  { keys: ['f'], does: 'key.follow' },
  { keys: ['+', '−'], does: 'key.zoom' },
  { keys: ['0'], does: 'key.fit' },
  { keys: ['← ↑ → ↓'], does: 'key.move' },
  { keys: ['1–9'], does: 'key.floors' },
  { keys: ['Space'], does: 'key.pause' },
  { keys: ['t'], does: 'key.trails' },
  { keys: ['n'], does: 'key.names' },
  { keys: ['a'], does: 'key.anchors' },
  { keys: ['c'], does: 'key.accuracy' },
  { keys: ['h'], does: 'key.heat' },
  { keys: ['d'], does: 'key.measure' },
  { keys: ['w'], does: 'key.wide' },
  { keys: ['g', 'l'], does: 'key.live' },
  { keys: ['g', 'h'], does: 'key.history' },
  { keys: ['g', 'c'], does: 'key.connect' },
  { keys: ['g', 'a'], does: 'key.administration' },
  { keys: ['l'], does: 'key.log' },
  { keys: ['m'], does: 'key.write' },
  { keys: ['Esc'], does: 'key.escape' },
  { keys: ['?'], does: 'key.help' },
];
