import { batch, effect } from '@preact/signals';

import { EVERY_DEVICE, KINDS, SORT_KEYS, STATUSES, type Filters } from '../list/filters';
import { MAX_SCALE, MIN_SCALE } from '../map/camera';
import { PAGE_NAMES, type PageName } from '../pages/pages';
import { TRAIL_SECONDS, type Look, type TrailSeconds, type View } from '../view';

/**
 * What is seen, in the page's address after `#`: a link shows another person the same, and the back button goes back.
 * Only what differs from a fresh page is written, so that a fresh page has a plain address. Words of others that stand
 * there are left alone.
 */

export interface Shown {
  readonly page: PageName;
  readonly look: Look | null;
  readonly floor: number | null;
  readonly selected: string | null;
  readonly follow: boolean;
  readonly filters: Filters;
  /** 0 for none. */
  readonly trails: 0 | TrailSeconds;
  readonly names: boolean;
  readonly anchors: boolean;
  readonly accuracy: boolean;
  readonly heat: boolean;
}

export const FRESH: Shown = {
  page: 'live',
  look: null,
  floor: null,
  selected: null,
  follow: false,
  filters: EVERY_DEVICE,
  trails: 10,
  names: true,
  anchors: true,
  accuracy: false,
  heat: false,
};

const OURS = [
  'page',
  'at',
  'floor',
  'device',
  'follow',
  'q',
  'status',
  'kind',
  'zone',
  'sort',
  'trails',
  'hide',
  'show',
];
/** Longer ids, names and searches there are none. */
const LONGEST = 256;

export function writeAddress(shown: Shown, others = new URLSearchParams()): string {
  const words = new URLSearchParams(others);
  for (const name of OURS) words.delete(name);
  const { look, floor, selected, filters } = shown;
  const put = (name: string, value: string, isFresh: boolean): void => {
    if (!isFresh) words.set(name, value);
  };
  put('page', shown.page, shown.page === FRESH.page);
  if (look !== null) words.set('at', [round(look.x, 2), round(look.y, 2), Number(look.scale.toPrecision(4))].join(','));
  put('floor', String(floor), floor === null);
  put('device', selected ?? '', selected === null);
  put('follow', '1', !shown.follow || selected === null);
  put('q', filters.search, filters.search.trim() === '');
  put('status', filters.status, filters.status === 'all');
  put('kind', filters.kind, filters.kind === 'all');
  put('zone', filters.zone ?? '', filters.zone === null);
  put('sort', (filters.descending ? '-' : '') + filters.sort, filters.sort === 'name' && !filters.descending);
  put('trails', String(shown.trails), shown.trails === FRESH.trails);
  const hide = (['names', 'anchors'] as const).filter((name) => !shown[name]);
  put('hide', hide.join(','), hide.length === 0);
  const show = (['accuracy', 'heat'] as const).filter((name) => shown[name]);
  put('show', show.join(','), show.length === 0);
  // Commas, colons and slashes may stand in a fragment, and are easier to read than their codes.
  return words.toString().replaceAll('%2C', ',').replaceAll('%3A', ':').replaceAll('%2F', '/');
}

/** What an address says; what it leaves out or says wrongly is as on a fresh page. */
export function readAddress(fragment: string): Shown {
  const words = new URLSearchParams(fragment.replace(/^#/, ''));
  const word = (name: string): string | null => words.get(name)?.slice(0, LONGEST) ?? null;
  const sort = word('sort') ?? 'name';
  const selected = word('device') === '' ? null : word('device');
  const list = (name: string): string[] => (word(name) ?? '').split(',');
  const trails = number(word('trails'));
  return {
    page: PAGE_NAMES.find((page) => page === word('page')) ?? 'live',
    look: readLook(word('at')),
    floor: number(word('floor')),
    selected,
    follow: selected !== null && word('follow') === '1',
    filters: {
      search: word('q') ?? '',
      status: STATUSES.find((status) => status === word('status')) ?? 'all',
      kind: KINDS.find((kind) => kind === word('kind')) ?? 'all',
      zone: word('zone'),
      sort: SORT_KEYS.find((key) => key === sort.replace(/^-/, '')) ?? 'name',
      descending: sort.startsWith('-'),
    },
    trails: trails === 0 ? 0 : (TRAIL_SECONDS.find((seconds) => seconds === trails) ?? 10),
    names: !list('hide').includes('names'),
    anchors: !list('hide').includes('anchors'),
    accuracy: list('show').includes('accuracy'),
    heat: list('show').includes('heat'),
  };
}

/** Whether the address says anything of what is shown. */
export const saysSomething = (fragment: string): boolean => {
  const words = new URLSearchParams(fragment.replace(/^#/, ''));
  return OURS.some((name) => words.has(name));
};

function readLook(text: string | null): Look | null {
  const [x, y, scale, ...more] = (text ?? '').split(',').map((part) => number(part));
  if (x == null || y == null || scale == null || more.length > 0) return null;
  return scale < MIN_SCALE || scale > MAX_SCALE ? null : { x, y, scale };
}

function number(text: string | null): number | null {
  if (text === null || text.trim() === '') return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

function shownIn(view: View): Shown {
  return {
    page: view.page.value,
    look: view.follow.value ? null : view.look.value,
    floor: view.floor.value,
    selected: view.selected.value,
    follow: view.follow.value,
    filters: view.filters.value,
    trails: view.trails.value ? view.trailSeconds.value : 0,
    names: view.names.value,
    anchors: view.anchors.value,
    accuracy: view.accuracy.value,
    heat: view.heat.value,
  };
}

function show(view: View, shown: Shown): void {
  batch(() => {
    view.page.value = shown.page;
    view.look.value = shown.look;
    view.floor.value = shown.floor;
    view.selected.value = shown.selected;
    view.follow.value = shown.follow;
    view.filters.value = shown.filters;
    view.trails.value = shown.trails !== 0;
    if (shown.trails !== 0) view.trailSeconds.value = shown.trails;
    view.names.value = shown.names;
    view.anchors.value = shown.anchors;
    view.accuracy.value = shown.accuracy;
    view.heat.value = shown.heat;
  });
}

/** Browsers refuse more than some hundred changes of the address in half a minute. */
const WRITE_MS = 400;
/** Another page, floor or device is a step to go back from; from device to device in less time somebody is walking. */
const WALK_MS = 1_000;

type Step = Pick<Shown, 'page' | 'selected' | 'floor'>;

/** Whether the change is a step of its own, or the view has only moved on within one. */
export function isStep(before: Step, after: Step, elapsedMs: number): boolean {
  if (before.page !== after.page || before.floor !== after.floor) return true;
  if (before.selected === after.selected) return false;
  return before.selected === null || after.selected === null || elapsedMs > WALK_MS;
}

/** Shows what the address says, now and when it changes, and writes there what is shown. */
export function keepInAddress(view: View): () => void {
  if (saysSomething(location.hash)) show(view, readAddress(location.hash));
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stepped = { page: view.page.peek(), selected: view.selected.peek(), floor: view.floor.peek(), at: -Infinity };
  const write = (): void => {
    timer = undefined;
    const shown = shownIn(view);
    const fragment = writeAddress(shown, new URLSearchParams(location.hash.slice(1)));
    const url = location.pathname + location.search + (fragment === '' ? '' : `#${fragment}`);
    if (url === location.pathname + location.search + location.hash) return;
    const now = performance.now();
    if (isStep(stepped, shown, now - stepped.at)) history.pushState(null, '', url);
    else history.replaceState(history.state, '', url);
    if (isStep(stepped, shown, Infinity)) {
      stepped = { page: shown.page, selected: shown.selected, floor: shown.floor, at: now };
    }
  };
  const stop = effect(() => {
    shownIn(view);
    timer ??= setTimeout(write, WRITE_MS);
  });
  const read = (event: Event): void => {
    clearTimeout(timer);
    timer = undefined;
    // An address with a token and nothing else signs in, and leaves the view alone.
    const { hash } = event instanceof HashChangeEvent ? new URL(event.newURL) : location;
    if (!saysSomething(hash) && new URLSearchParams(hash.slice(1)).has('token')) return;
    show(view, readAddress(location.hash));
    clearTimeout(timer);
    timer = undefined;
    stepped = { page: view.page.peek(), selected: view.selected.peek(), floor: view.floor.peek(), at: -Infinity };
  };
  // Back and forward tell of themselves once, an address typed by hand does with the second.
  addEventListener('popstate', read);
  addEventListener('hashchange', read);
  return () => {
    stop();
    clearTimeout(timer);
    removeEventListener('popstate', read);
    removeEventListener('hashchange', read);
  };
}
