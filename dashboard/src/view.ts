import { signal } from '@preact/signals';

import { isBoolean, oneOf, remembered } from './prefs';

/** What the person at the page has chosen: shared by the map, the list, the panels and the keys. */

export const TRAIL_SECONDS = [5, 10, 30, 60, 120] as const;

export class View {
  readonly selected = signal<string | null>(null);
  readonly hovered = signal<string | null>(null);
  readonly follow = signal(false);

  readonly trails = remembered('trails', true, isBoolean);
  readonly trailSeconds = remembered<(typeof TRAIL_SECONDS)[number]>('trail-seconds', 10, oneOf(TRAIL_SECONDS));
  readonly names = remembered('names', true, isBoolean);

  readonly dock = remembered<'closed' | 'open' | 'tall'>('dock', 'open', oneOf(['closed', 'open', 'tall']));
  readonly composer = signal(false);
  readonly help = signal(false);
  readonly shortcuts = remembered('shortcuts', true, isBoolean);
  /** On a phone one of the three fills the screen. */
  readonly tab = signal<'map' | 'devices' | 'messages'>('map');

  /** Counts up when somebody wants the selected device in the middle of the map. */
  readonly centre = signal(0);

  select(id: string | null): void {
    this.selected.value = id;
    if (id === null) this.follow.value = false;
  }
}
