import type { MapController } from '../../map/controller';
import type { Player } from './player';
import { SPEEDS } from './replay';

/** The keys of this page; the others of the dashboard work as on the live map. */
export function listenToPastKeys(player: Player, map: MapController): () => void {
  const listen = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { target, key } = event;
    const isTyping =
      target instanceof HTMLElement &&
      (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName));
    if (isTyping) return;
    // The space bar presses what has the focus, before it does anything else.
    const isPressable = target instanceof HTMLElement && target.closest('button, a[href], summary, dialog') !== null;
    if (isPressable && key === ' ') return;
    const act = /^[1-9]$/.test(key) ? floor(map, Number(key) - 1) : actions(player, map)[key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  };
  // Before the keys of the live map, which is not there.
  addEventListener('keydown', listen, { capture: true });
  return () => {
    removeEventListener('keydown', listen, { capture: true });
  };
}

const floor = (map: MapController, index: number) => (): void => {
  map.chooseFloor(index);
};

function actions(player: Player, map: MapController): Partial<Record<string, () => void>> {
  const zoom = (factor: number) => (): void => {
    map.zoomBy(factor);
  };
  const speed = (by: 1 | -1) => (): void => {
    const next = SPEEDS[SPEEDS.indexOf(player.speed.peek()) + by];
    if (next !== undefined) player.setSpeed(next);
  };
  return {
    ' ': () => {
      if (player.playing.peek()) player.pause();
      else player.play();
    },
    ',': () => {
      player.step('back');
    },
    '.': () => {
      player.step('forward');
    },
    '<': speed(-1),
    '>': speed(1),
    o: () => {
      player.setLooping(!player.looping.peek());
    },
    '[': () => {
      player.zoom(player.instant, player.range.peek().end);
    },
    ']': () => {
      player.zoom(player.range.peek().start, player.instant);
    },
    Backspace: () => {
      player.goBack();
    },
    '+': zoom(1.4),
    '=': zoom(1.4),
    '-': zoom(1 / 1.4),
    '0': () => {
      map.fit();
    },
    // The heat map counts what happens now.
    h: () => undefined,
    w: () => undefined,
  };
}
