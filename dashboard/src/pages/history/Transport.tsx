import type { JSX } from 'preact';

import type { Hub } from '../../hub';
import { SignButton } from '../../map/tools';
import { ago, clockTime } from '../../time';
import type { View } from '../../view';
import { count } from '../../words';
import { Glyph } from './glyphs';
import { dayInWords, inWords } from './moments';
import type { Player } from './player';
import { SPEEDS, type Speed } from './replay';
import { t } from './words';

interface Props {
  readonly hub: Hub;
  readonly view: View;
  readonly player: Player;
  readonly leave: () => void;
}

/** Play, step, speed, loop; and which moment is shown, in words. */
export function Transport({ hub, view, player, leave }: Props): JSX.Element {
  const playing = player.playing.value;
  return (
    <div class="transport">
      <div class="transport-keys" role="group" aria-label={t('play.label')}>
        <Key
          glyph="start"
          word={t('play.start')}
          press={() => {
            player.seek(player.range.peek().start);
          }}
        />
        <Key
          glyph="back"
          word={along(hub, view, t('play.back'))}
          hotkey=","
          press={() => {
            player.step('back');
          }}
        />
        <Key
          glyph="backSecond"
          word={t('play.backSecond')}
          press={() => {
            player.seek(player.instant - 1_000);
          }}
        />
        <button
          type="button"
          class="primary transport-play"
          aria-label={playing ? t('play.pause') : t('play.play')}
          title={`${playing ? t('play.pause') : t('play.play')} (Space)`}
          aria-keyshortcuts="Space"
          onClick={() => {
            if (playing) player.pause();
            else player.play();
          }}
        >
          <Glyph name={playing ? 'pause' : 'play'} size={18} />
        </button>
        <Key
          glyph="forwardSecond"
          word={t('play.forwardSecond')}
          press={() => {
            player.seek(player.instant + 1_000);
          }}
        />
        <Key
          glyph="forward"
          word={along(hub, view, t('play.forward'))}
          hotkey="."
          press={() => {
            player.step('forward');
          }}
        />
        <Key
          glyph="loop"
          word={t('play.loop')}
          hotkey="o"
          pressed={player.looping.value}
          press={() => {
            player.setLooping(!player.looping.peek());
          }}
        />
        <select
          aria-label={t('play.speed')}
          title={`${t('play.speed')} (< >)`}
          value={String(player.speed.value)}
          onChange={(event) => {
            const wanted = Number(event.currentTarget.value);
            player.setSpeed(SPEEDS.find((speed) => speed === wanted) ?? 1);
          }}
        >
          {SPEEDS.map((speed) => (
            <option key={speed} value={String(speed)}>
              {speedInWords(speed)}
            </option>
          ))}
        </select>
      </div>
      <Moment hub={hub} player={player} />
      <button type="button" class="transport-live" onClick={leave}>
        <span class="live-dot" />
        {t('past.live')}
      </button>
    </div>
  );
}

export const speedInWords = (speed: Speed): string =>
  `${speed < 1 ? new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 }).format(speed) : count(speed)}×`;

/** A step goes along the selected device, where there is one. */
function along(hub: Hub, view: View, what: string): string {
  const id = view.selected.value;
  return id === null ? what : t('play.ofDevice', { what, name: hub.world.tracks.get(id)?.label ?? id });
}

/** The shown moment: large for the eyes, whole for the ears. */
function Moment({ hub, player }: Pick<Props, 'hub' | 'player'>): JSX.Element {
  const shown = player.shown.value;
  const age = hub.clock.now(hub.now.value) - shown;
  return (
    <div class="moment">
      <time class="moment-time" dateTime={new Date(shown).toISOString()}>
        {clockTime(shown)}
        <small>{`.${String(Math.floor((((shown % 1_000) + 1_000) % 1_000) / 100))}`}</small>
      </time>
      <span class="moment-day">
        {dayInWords(shown)}
        {age >= 1_000 && <span class="moment-age"> · {t('past.ago', { time: ago(age) })}</span>}
      </span>
      <Said player={player} />
    </div>
  );
}

/** What a screen reader is told: not every moment while it plays. */
function Said({ player }: Pick<Props, 'player'>): JSX.Element {
  const ended = player.stepEnded.value;
  const words = ended !== null ? t(ended === 'forward' ? 'play.noNext' : 'play.noPrevious') : undefined;
  const state =
    player.stepping.value !== null
      ? t('play.seeking')
      : player.waiting.value
        ? t('play.waiting')
        : player.playing.value
          ? t('play.playing', { speed: count(player.speed.value) })
          : t('play.stands', { time: inWords(player.shown.value) });
  const isSeen = words !== undefined || player.stepping.value !== null || player.waiting.value;
  return (
    <span class={isSeen ? 'moment-note' : 'offscreen'} role="status">
      {words ?? state}
    </span>
  );
}

interface KeyProps {
  readonly glyph: Parameters<typeof Glyph>[0]['name'];
  readonly word: string;
  readonly press: () => void;
  readonly hotkey?: string;
  readonly pressed?: boolean;
}

/** A key of the player. */
export function Key({ glyph, hotkey, ...more }: KeyProps): JSX.Element {
  return (
    <SignButton {...more} hotkey={hotkey} shortcut={hotkey}>
      <Glyph name={glyph} />
    </SignButton>
  );
}
