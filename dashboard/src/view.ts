import { signal } from '@preact/signals';

import { EVERY_DEVICE, type Filters } from './list/filters';
import type { PageName } from './pages/pages';
import { isBoolean, oneOf, remembered } from './prefs';

/** What the person at the page has chosen: shared by the map, the list, the panels, the keys and the address. */

export const TRAIL_SECONDS = [5, 10, 30, 60, 120] as const;
export type TrailSeconds = (typeof TRAIL_SECONDS)[number];

/** Where the map looks: a site point in the middle, in metres, and CSS pixels a metre. */
export interface Look {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

export class View {
  /** The live map, or a page beside it. */
  readonly page = signal<PageName>('live');
  readonly selected = signal<string | null>(null);
  readonly hovered = signal<string | null>(null);
  readonly follow = signal(false);
  /** Where somebody has moved the map to; `null` while it shows the whole site. */
  readonly look = signal<Look | null>(null);
  /** The floor that is shown; `null` for all. */
  readonly floor = signal<number | null>(null);
  readonly filters = signal<Filters>(EVERY_DEVICE);
  /** The picture stands still, and so does the list. */
  readonly paused = signal(false);
  readonly measuring = signal(false);

  readonly trails = remembered('trails', true, isBoolean);
  readonly trailSeconds = remembered<TrailSeconds>('trail-seconds', 10, oneOf(TRAIL_SECONDS));
  readonly names = remembered('names', true, isBoolean);
  readonly accuracy = remembered('accuracy', false, isBoolean);
  readonly heat = remembered('heat', false, isBoolean);
  /** Anchors and gateways. */
  readonly anchors = remembered('anchors', true, isBoolean);
  /** Pictures of floor plans. */
  readonly plans = remembered('plans', true, isBoolean);
  readonly editingPlans = signal(false);
  /** Devices of other floors are drawn faintly; else not at all. */
  readonly faintFloors = remembered('faint-floors', true, isBoolean);

  readonly dock = remembered<'closed' | 'open' | 'tall'>('dock', 'open', oneOf(['closed', 'open', 'tall']));
  readonly composer = signal(false);
  readonly help = signal(false);
  readonly settings = signal(false);
  /** What is known of the link. */
  readonly linkDetails = signal(false);
  readonly shortcuts = remembered('shortcuts', true, isBoolean);
  /** The list shows every column. */
  readonly wide = remembered('wide', false, isBoolean);
  /** On a phone one of the three fills the screen. */
  readonly tab = signal<'map' | 'devices' | 'messages'>('map');
  /** A display on a wall: the map and the state of the link, and nothing to press. */
  readonly kiosk: boolean;

  /** Counts up when somebody wants the selected device in the middle of the map. */
  readonly centre = signal(0);

  constructor(kiosk = false) {
    this.kiosk = kiosk;
  }

  select(id: string | null): void {
    this.selected.value = id;
    if (id === null) this.follow.value = false;
  }

  filter(change: Partial<Filters>): void {
    this.filters.value = { ...this.filters.peek(), ...change };
  }
}
