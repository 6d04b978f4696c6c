import type { MapController } from '../../map/controller';
import { keysOfMap, type PageKeys } from '../../shell/keys';
import type { Player } from './player';
import { SPEEDS } from './replay';
import type { en } from './words/en';

/** The keys of this page, as the help shows them; those of the strip when it has the focus. */
export const PAST_KEYS = [
  { keys: ['Space'], does: 'key.play' },
  { keys: [','], does: 'play.back' },
  { keys: ['.'], does: 'play.forward' },
  { keys: ['<', '>'], does: 'key.speed' },
  { keys: ['o'], does: 'play.loop' },
  { keys: ['['], does: 'range.cutBefore' },
  { keys: [']'], does: 'range.cutAfter' },
  { keys: ['Backspace'], does: 'range.back' },
  { keys: ['←', '→'], does: 'key.seconds' },
  { keys: ['PgUp', 'PgDn'], does: 'key.tenths' },
] as const satisfies readonly { keys: readonly string[]; does: keyof typeof en }[];

/** What keys do on this page; those of its strip, while that has the focus, are there. */
export function pastKeys(player: Player, map: MapController): PageKeys {
  const ofMap = keysOfMap(map);
  const own = actions(player);
  return (key) => own[key] ?? ofMap(key);
}

function actions(player: Player): Partial<Record<string, () => void>> {
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
    // The heat map counts what happens now.
    h: () => undefined,
    w: () => undefined,
  };
}
