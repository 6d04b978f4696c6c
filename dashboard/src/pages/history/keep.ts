import { batch, effect } from '@preact/signals';

import { readPast, writePast } from './address';
import type { Player } from './player';
import type { Range } from './replay';

/** Browsers refuse more than some hundred changes of the address in half a minute. */
const WRITE_MS = 1_000;
/** The page's own address is written a little after its page has changed; what was ours goes after that. */
const LEAVE_MS = 600;

/** Shows what the address says, now and when it changes, and writes there what is shown. */
export function keepPastInAddress(player: Player, fresh: () => Range): () => void {
  let written = '';
  const write = (fragment: string): void => {
    written = fragment;
    if (location.hash.slice(1) === fragment) return;
    history.replaceState(
      history.state,
      '',
      location.pathname + location.search + (fragment === '' ? '' : `#${fragment}`),
    );
  };
  const show = (): void => {
    const { range, instant, speed, isLooping, devices } = readPast(location.hash);
    batch(() => {
      player.speed.value = speed;
      player.looping.value = isLooping;
      player.devices.value = devices;
    });
    player.choose(range ?? fresh(), instant);
  };
  show();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = effect(() => {
    const { range, shown, speed, looping, devices } = player;
    const past = {
      range: range.value,
      instant: shown.value,
      speed: speed.value,
      isLooping: looping.value,
      devices: devices.value,
    };
    clearTimeout(timer);
    timer = setTimeout(
      () => {
        write(writePast(location.hash, past));
      },
      // While it plays, every second is enough.
      player.playing.value ? Math.max(0, WRITE_MS - (Date.now() % WRITE_MS)) : WRITE_MS / 4,
    );
  });
  const read = (): void => {
    const now = readPast(location.hash);
    // What is seen on the map has changed, and not the time.
    if (JSON.stringify(now) === JSON.stringify(readPast(written))) return;
    clearTimeout(timer);
    if (now.range !== null) show();
  };
  addEventListener('popstate', read);
  addEventListener('hashchange', read);
  return () => {
    stop();
    clearTimeout(timer);
    removeEventListener('popstate', read);
    removeEventListener('hashchange', read);
    // The step that leads away keeps them, so that the way back leads to the same moment.
    setTimeout(() => {
      if (new URLSearchParams(location.hash.slice(1)).get('page') !== 'history') write(writePast(location.hash, null));
    }, LEAVE_MS);
  };
}
