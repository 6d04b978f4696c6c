import type { MapController } from '../map/controller';
import type { View } from '../view';

/** Every key and what it does, as the help shows it. */
export const KEYS: readonly { keys: readonly string[]; does: string }[] = [
  { keys: ['/'], does: 'search the devices' },
  { keys: ['↑', '↓'], does: 'walk through the device list (when it has the focus)' },
  { keys: ['Enter'], does: 'bring the selected device to the middle of the map' },
  { keys: ['f'], does: 'follow the selected device, or stop following' },
  { keys: ['+', '−'], does: 'zoom in and out' },
  { keys: ['0'], does: 'show the whole site' },
  { keys: ['← ↑ → ↓'], does: 'move the map (when it has the focus)' },
  { keys: ['t'], does: 'trails on or off' },
  { keys: ['n'], does: 'names on or off' },
  { keys: ['l'], does: 'message log: open or close' },
  { keys: ['m'], does: 'write a message by hand' },
  { keys: ['Esc'], does: 'close what is open, then clear the selection' },
  { keys: ['?'], does: 'this help' },
];

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName))
  );
}

export function listenToKeys(view: View, map: MapController): void {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === 'Escape') {
      escape(view, event.target);
      return;
    }
    if (isTyping(event.target)) return;
    if (event.key === '?') {
      view.help.value = !view.help.value;
      return;
    }
    if (!view.shortcuts.value || view.help.value) return;
    const act = actions(view, map)[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  });
}

function actions(view: View, map: MapController): Partial<Record<string, () => void>> {
  const zoom = (factor: number) => (): void => {
    map.zoomBy(factor);
  };
  return {
    '+': zoom(1.4),
    '=': zoom(1.4),
    '-': zoom(1 / 1.4),
    '0': () => {
      map.fit();
    },
    '/': () => {
      view.tab.value = 'devices';
      requestAnimationFrame(() => document.getElementById('device-search')?.focus());
    },
    f: () => {
      if (view.selected.value !== null) view.follow.value = !view.follow.value;
    },
    t: () => {
      view.trails.value = !view.trails.value;
    },
    n: () => {
      view.names.value = !view.names.value;
    },
    l: () => {
      view.dock.value = view.dock.value === 'closed' ? 'open' : 'closed';
    },
    m: () => {
      view.tab.value = 'messages';
      if (view.dock.value === 'closed') view.dock.value = 'open';
      view.composer.value = true;
      requestAnimationFrame(() => document.getElementById('compose-type')?.focus());
    },
  };
}

function escape(view: View, target: EventTarget | null): void {
  if (view.help.value) view.help.value = false;
  else if (isTyping(target) && target instanceof HTMLElement) target.blur();
  else view.select(null);
}
