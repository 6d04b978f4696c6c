import { remembered } from '../prefs';

/** Views with names, kept by this browser: each is the part of the address after `#`, which holds what is seen. */

export interface SavedView {
  readonly name: string;
  readonly fragment: string;
}

/** More than anybody finds again; one more is refused. */
export const VIEWS_MAX = 30;
export const NAME_MAX = 60;
const FRAGMENT_MAX = 2_000;

const isView = (value: unknown): value is SavedView => {
  const view = value as SavedView | null;
  return (
    typeof view === 'object' &&
    view !== null &&
    typeof view.name === 'string' &&
    typeof view.fragment === 'string' &&
    view.name.length <= NAME_MAX &&
    view.fragment.length <= FRAGMENT_MAX
  );
};

const isViews = (value: unknown): value is readonly SavedView[] =>
  Array.isArray(value) && value.length <= VIEWS_MAX && value.every(isView);

export const savedViews = remembered<readonly SavedView[]>('views', [], isViews);

const tidy = (name: string): string => name.trim().replace(/\s+/g, ' ').slice(0, NAME_MAX);

/** A view under a new name; under a known one it takes that one's place. `false` where there is no room, or no name. */
export function saveView(name: string, fragment: string): boolean {
  const view = { name: tidy(name), fragment: withoutSecrets(fragment) };
  if (view.name === '' || view.fragment.length > FRAGMENT_MAX) return false;
  const views = savedViews.peek();
  const at = views.findIndex((one) => one.name === view.name);
  if (at < 0 && views.length >= VIEWS_MAX) return false;
  savedViews.value = at < 0 ? [...views, view] : views.with(at, view);
  return true;
}

/** `false` where another view has the name, or there is none. */
export function renameView(view: SavedView, name: string): boolean {
  const wanted = tidy(name);
  const views = savedViews.peek();
  if (wanted === '' || views.some((one) => one !== view && one.name === wanted)) return false;
  savedViews.value = views.map((one) => (one === view ? { ...one, name: wanted } : one));
  return true;
}

export function removeView(view: SavedView): void {
  savedViews.value = savedViews.peek().filter((one) => one !== view);
}

/** The whole address of a view, for somebody else or for a display on a wall. */
export function addressOf({ fragment }: SavedView, kiosk: boolean): string {
  const url = new URL(location.href);
  url.hash = fragment;
  if (kiosk) url.searchParams.set('kiosk', '1');
  else url.searchParams.delete('kiosk');
  return url.href;
}

/** A token is never kept; the page takes it out of its address before anything else, and this makes sure. */
function withoutSecrets(fragment: string): string {
  const words = new URLSearchParams(fragment.replace(/^#/, ''));
  words.delete('token');
  return words.toString();
}
