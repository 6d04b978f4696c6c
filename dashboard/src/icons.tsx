import type { JSX } from 'preact';

/** Small pictures, drawn with the text's colour. They say nothing to a screen reader: the word beside them does. */

const PATHS = {
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  fit: 'M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3',
  close: 'M4 4l8 8M12 4l-8 8',
  help: 'M6 6.2a2 2 0 1 1 3 1.7c-.7.4-1 .8-1 1.6M8 12h.01',
  out: 'M7 3H3v10h4M10.5 5.5L13 8l-2.5 2.5M13 8H6.5',
  up: 'M8 13V3M4 7l4-4 4 4',
  down: 'M8 3v10M4 9l4 4 4-4',
  copy: 'M6 6V3h7v7h-3M3 6h7v7H3z',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M5 3.5v9l7-4.5z',
  trash: 'M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5',
  search: 'M7 3a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM10 10l3 3',
  pin: 'M8 14s4.5-4.2 4.5-7.5a4.5 4.5 0 0 0-9 0C3.5 9.8 8 14 8 14zM8 6.4a.1.1 0 1 1 0 .2',
  list: 'M6 4h7M6 8h7M6 12h7M3 4h.01M3 8h.01M3 12h.01',
  map: 'M2.5 4.5l3.5-1.5 4 1.5 3.5-1.5v9l-3.5 1.5-4-1.5-3.5 1.5zM6 3v9M10 4.5v9',
  plan: 'M2.5 2.5h11v11h-11zM2.5 8H7V6M7 13.5V11M10 2.5V8h3.5',
  log: 'M2.5 3h11v8h-6l-3 2.5v-2.5h-2z',
  trail: 'M2 12.5c3 0 2.5-4 5-4s2.5 2 4.5 1M13 5.5a1.5 1.5 0 1 1-.01 0',
  names: 'M2.5 8l5-5h5.5v5.5l-5 5zM10.5 5.5h.01',
  history: 'M3 8a5 5 0 1 1 1.6 3.7M3 5v3h3M8 5.5V8l2 1.2',
  target: 'M8 2.5v3M8 10.5v3M2.5 8h3M10.5 8h3M8 5.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z',
  send: 'M2.5 8l11-5-4 11-2.5-4.5z',
  tall: 'M4 9l4-4 4 4M4 13l4-4 4 4',
  short: 'M4 3l4 4 4-4M4 7l4 4 4-4',
  warn: 'M8 2.5l6 11H2zM8 6.5v3.5M8 12h.01',
  note: 'M8 8h.01',
  clock: 'M8 3a5 5 0 1 1 0 10A5 5 0 0 1 8 3zM8 5.5v3M8 10.5h.01',
  accuracy: 'M8 3a5 5 0 1 1 0 10A5 5 0 0 1 8 3zM8 7.4a.6.6 0 1 1 0 1.2.6.6 0 0 1 0-1.2z',
  heat: 'M8 2.5c.5 2.5 3.8 3.8 3.8 7a3.8 3.8 0 0 1-7.6 0c0-1.6.8-2.6 1.7-3.4.2 1 .6 1.5 1.2 1.8C7 6.4 7.1 4.3 8 2.5z',
  measure: 'M2.3 10.8l8.5-8.5 2.9 2.9-8.5 8.5zM5 8.1l1.4 1.4M7.2 5.9l1.4 1.4M9.4 3.7l1.4 1.4',
  anchor: 'M8 3l5.2 9.5H2.8z',
  settings: 'M3 4.5h5M11 4.5h2M3 11.5h2M8 11.5h5M9.5 3v3M6.5 10v3',
  filter: 'M2.5 4h11M4.5 8h7M6.5 12h3',
  columns: 'M2.5 3.5h11v9h-11zM6.2 3.5v9M9.8 3.5v9',
  save: 'M8 2.5v7M5 6.7l3 3 3-3M3 11v2h10v-2',
  edit: 'M3 13l.7-2.8 7-7 2.1 2.1-7 7zM9.3 4.6l2.1 2.1',
  undo: 'M6 3.5L3 6.5l3 3M3 6.5h6a3.5 3.5 0 0 1 0 7H6',
  link: 'M6.5 9.5l3-3M5.5 7.5L4 9a2.3 2.3 0 0 0 3.2 3.2l1.4-1.4M10.5 8.5L12 7a2.3 2.3 0 0 0-3.2-3.2L7.4 5.2',
  layers: 'M8 3l5.5 3L8 9 2.5 6zM2.5 9.5L8 12.5l5.5-3',
  cross: 'M8 2v12M2 8h12',
  check: 'M3 8.5l3.2 3.2L13 4.8',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 16 16" width={size} height={size} aria-hidden="true">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.6"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}

/** The shape of a status, the same as on the map: disc, ring, cross. */
export function StatusShape({ status, kind = 'tag' }: { status: string; kind?: string }): JSX.Element {
  const shape =
    status === 'disconnected' ? (
      <path d="M4 4l8 8M12 4l-8 8" fill="none" stroke="currentColor" stroke-width="2.6" stroke-linecap="round" />
    ) : (
      outline(kind, status === 'stale')
    );
  return (
    <svg class={`shape shape-${kind} is-${status}`} viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      {shape}
    </svg>
  );
}

function outline(kind: string, hollow: boolean): JSX.Element {
  const paint = hollow
    ? { fill: 'none', stroke: 'currentColor', 'stroke-width': 2.6 }
    : { fill: 'currentColor', stroke: 'none' };
  if (kind === 'anchor') return <path d="M8 2.5l5.8 10.5H2.2z" stroke-linejoin="round" {...paint} />;
  if (kind === 'gateway') return <rect x="3" y="3" width="10" height="10" rx="2" {...paint} />;
  return <circle cx="8" cy="8" r={hollow ? 4.7 : 5.5} {...paint} />;
}

export type LinkShape = 'live' | 'busy' | 'waiting' | 'off' | 'failed';

/** The shape of the link's state: filled disc, open circle with a hand, clock, crossed circle, warning. */
export function LinkIcon({ shape }: { shape: LinkShape }): JSX.Element {
  const stroke = {
    fill: 'none',
    stroke: 'currentColor',
    'stroke-width': 1.8,
    'stroke-linecap': 'round',
    'stroke-linejoin': 'round',
  } as const;
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      {shape === 'live' && (
        <>
          <circle cx="8" cy="8" r="3.2" fill="currentColor" />
          <circle cx="8" cy="8" r="6" {...stroke} opacity="0.45" />
        </>
      )}
      {shape === 'busy' && <path d="M13.5 8A5.5 5.5 0 1 1 8 2.5" {...stroke} class="spin" />}
      {shape === 'waiting' && <path d="M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11zM8 5.2V8l1.9 1.3" {...stroke} />}
      {shape === 'off' && <path d="M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11zM4.2 11.8l7.6-7.6" {...stroke} />}
      {shape === 'failed' && <path d="M8 2.3l6 11.2H2zM8 6.5v3.2M8 11.7h.01" {...stroke} />}
    </svg>
  );
}

export function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="currentColor" />
      <g fill="none" stroke="#fff" stroke-linecap="round" stroke-width="2.4">
        <path d="M8.2 19.6a9 9 0 0 1 0-7.2M23.8 12.4a9 9 0 0 1 0 7.2" />
        <path d="M4.7 21.6a13 13 0 0 1 0-11.2M27.3 10.4a13 13 0 0 1 0 11.2" opacity=".55" />
      </g>
      <circle cx="16" cy="16" r="4.6" fill="#fff" />
    </svg>
  );
}
