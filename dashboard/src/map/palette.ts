/** The map's colours come from the style sheet, so that both themes are written in one place. */
export interface Palette {
  readonly ground: string;
  readonly floor: string;
  readonly grid: string;
  readonly gridStrong: string;
  readonly axis: string;
  readonly wall: string;
  readonly zones: readonly string[];
  readonly zoneText: string;
  readonly connected: string;
  readonly stale: string;
  readonly disconnected: string;
  readonly low: string;
  readonly anchor: string;
  readonly gateway: string;
  readonly halo: string;
  readonly label: string;
  readonly labelQuiet: string;
  readonly select: string;
  readonly trail: string;
  /** Colours of the heat map, from a short stay to the longest. */
  readonly heat: readonly string[];
  readonly measure: string;
  readonly font: string;
}

const ZONE_TINTS = 5;

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const of = (name: string): string => style.getPropertyValue(`--map-${name}`).trim() || '#888';
  return {
    ground: of('ground'),
    floor: of('floor'),
    grid: of('grid'),
    gridStrong: of('grid-strong'),
    axis: of('axis'),
    wall: of('wall'),
    zones: Array.from({ length: ZONE_TINTS }, (_, index) => of(`zone-${String(index + 1)}`)),
    zoneText: of('zone-text'),
    connected: of('connected'),
    stale: of('stale'),
    disconnected: of('disconnected'),
    low: of('low'),
    anchor: of('anchor'),
    gateway: of('gateway'),
    halo: of('halo'),
    label: of('label'),
    labelQuiet: of('label-quiet'),
    select: of('select'),
    trail: of('trail'),
    heat: [of('heat-low'), of('heat-middle'), of('heat-high')],
    measure: of('measure'),
    font: style.fontFamily,
  };
}
