import type { MapController } from '../map/controller';
import { firstOf, type Section } from '../pages/pages';
import type { View } from '../view';

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName))
  );
}

/** The space bar presses what has the focus, before it does anything else. */
function isPressable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('button, a[href], summary, [role=button]') !== null;
}

/** `g` and one of these within so many milliseconds goes to a section, as mail programs and forges have it. */
const GO_MS = 1_500;
const GO: Partial<Record<string, Section>> = { l: 'live', h: 'history', c: 'connect', a: 'administration' };

/** What a key does on a page; `undefined` where it means what it means everywhere. */
export type PageKeys = (key: string) => (() => void) | undefined;

let ofPage: PageKeys | undefined;

/** Keys of a page's own, until what is returned is called. */
export function takeKeys(keys: PageKeys): () => void {
  ofPage = keys;
  return () => {
    if (ofPage === keys) ofPage = undefined;
  };
}

export function listenToKeys(view: View, map: MapController, permissions: () => readonly string[]): void {
  let goBefore = -Infinity;
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key === 'Escape') {
      escape(view, event.target);
      return;
    }
    if (isTyping(event.target)) return;
    if (event.key === '?' && !view.kiosk) {
      view.help.value = !view.help.value;
      return;
    }
    if (!view.shortcuts.value || view.help.value || view.kiosk) return;
    if (event.key === ' ' && isPressable(event.target)) return;
    const isGoing = event.timeStamp < goBefore;
    goBefore = event.key === 'g' ? event.timeStamp + GO_MS : -Infinity;
    const section = isGoing ? GO[event.key] : undefined;
    if (section !== undefined) {
      event.preventDefault();
      view.page.value = firstOf(section, permissions()) ?? view.page.value;
      return;
    }
    const act = ofPage?.(event.key) ?? keysOfMap(map)(event.key) ?? actions(view)[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  });
}

/** The keys that the live map and the map of the past have in common. */
export const keysOfMap =
  (map: MapController): PageKeys =>
  (key) => {
    const zoom = (factor: number) => (): void => {
      map.zoomBy(factor);
    };
    switch (key) {
      case '+':
      case '=':
        return zoom(1.4);
      case '-':
        return zoom(1 / 1.4);
      case '0':
        return () => {
          map.fit();
        };
      default:
        if (!/^[1-9]$/.test(key)) return undefined;
        return () => {
          map.chooseFloor(Number(key) - 1);
        };
    }
  };

type Toggle = 'trails' | 'names' | 'anchors' | 'accuracy' | 'heat' | 'measuring' | 'paused' | 'wide';

function actions(view: View): Partial<Record<string, () => void>> {
  const toggle = (choice: Toggle) => (): void => {
    view[choice].value = !view[choice].value;
  };
  return {
    '/': () => {
      view.tab.value = 'devices';
      requestAnimationFrame(() => document.getElementById('device-search')?.focus());
    },
    f: () => {
      if (view.selected.value !== null) view.follow.value = !view.follow.value;
    },
    t: toggle('trails'),
    n: toggle('names'),
    a: toggle('anchors'),
    c: toggle('accuracy'),
    h: toggle('heat'),
    d: toggle('measuring'),
    w: toggle('wide'),
    ' ': toggle('paused'),
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
  else if (view.settings.value) view.settings.value = false;
  else if (view.linkDetails.value) view.linkDetails.value = false;
  else if (isTyping(target) && target instanceof HTMLElement) target.blur();
  else if (view.measuring.value) view.measuring.value = false;
  else view.select(null);
}
