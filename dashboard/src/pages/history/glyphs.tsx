import type { JSX } from 'preact';

/** The signs of the transport, as they are on every player. */
const PATHS = {
  play: 'M5 3.2v9.6l7.6-4.8z',
  pause: 'M5.2 3.2v9.6M10.8 3.2v9.6',
  back: 'M12 3.5v9L6 8zM4 3.5v9',
  forward: 'M4 3.5v9L10 8zM12 3.5v9',
  backSecond: 'M10 3.5L5.5 8l4.500 4.5',
  forwardSecond: 'M6 3.5L10.500 8 6 12.5',
  start: 'M3.500 3.5v9M12.5 3.5L8.200 8l4.300 4.5M8.500 3.500L5.500 8l3 4.500',
  loop: 'M3 8V6.500a2.500 2.500 0 0 1 2.500-2.500H12M10 2l2.200 2L10 6M13 8v1.500A2.500 2.500 0 0 1 10.500 12H4M6 10l-2.200 2L6 14',
  cutBefore: 'M6.500 3H4v10h2.500M13 8H7.500M9.500 6l-2 2 2 2',
  cutAfter: 'M9.500 3H12v10H9.500M3 8h5.500M6.500 6l2 2-2 2',
} as const;

const FILLED: ReadonlySet<keyof typeof PATHS> = new Set(['play', 'back', 'forward']);

export function Glyph({ name, size = 16 }: { name: keyof typeof PATHS; size?: number }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true">
      <path
        d={PATHS[name]}
        fill={FILLED.has(name) ? 'currentColor' : 'none'}
        stroke="currentColor"
        stroke-width="1.6"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
