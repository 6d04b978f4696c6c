import { useComputed, useSignal } from '@preact/signals';
import type { JSX } from 'preact';

import { dependOn } from '../../depend';
import type { Hub } from '../../hub';
import { Icon, StatusShape } from '../../icons';
import { ago, parseTime } from '../../time';
import type { View } from '../../view';
import type { Track } from '../../world';
import { count, decimals } from '../../words';
import type { Player } from './player';
import { many, t } from './words';

/** As many as the server takes by name. */
const CHOSEN_MAX = 1_000;
/** More rows than this are searched for and not scrolled to. */
const ROWS_MAX = 200;
/** Ages below this are told in tenths of a second. */
const TENTHS_MS = 10_000;

interface Props {
  readonly hub: Hub;
  readonly view: View;
  readonly player: Player;
}

/** The devices that reported within the range; which of them are shown; where they were. */
export function Devices({ hub, view, player }: Props): JSX.Element {
  const tooMany = useSignal(false);
  const search = view.filters.value.search;
  const labelOf = (id: string): string => hub.world.tracks.get(id)?.label ?? id;
  const known = useComputed(() => {
    const ids = new Set([...(player.present.value ?? []), ...(player.devices.value ?? [])]);
    const wanted = view.filters.value.search.trim().toLowerCase();
    const found = [...ids]
      .map((id) => ({ id, label: labelOf(id) }))
      .filter(
        ({ id, label }) => wanted === '' || id.toLowerCase().includes(wanted) || label.toLowerCase().includes(wanted),
      )
      .sort((a, b) => a.label.localeCompare(b.label, undefined, { numeric: true }));
    return { all: [...ids], found };
  });
  const { all, found } = known.value;
  const chosen = player.devices.value;
  const selected = view.selected.value;
  const choose = (ids: readonly string[] | null): void => {
    tooMany.value = ids !== null && ids.length > CHOSEN_MAX;
    if (!tooMany.value) player.show(ids);
  };
  const isChosen = (id: string): boolean => chosen === null || chosen.includes(id);
  const toggle = (id: string): void => {
    const shown = chosen ?? all;
    const next = isChosen(id) ? shown.filter((one) => one !== id) : [...shown, id];
    choose(next.length === 0 || next.length === all.length ? null : next);
  };
  return (
    <section class="past-devices" aria-label={t('devices.label')}>
      <div class="past-devices-head">
        <h2>{t('devices.title')}</h2>
        {player.present.value !== null && <span class="dim">{many('devices.count', all.length)}</span>}
      </div>
      <div class="search">
        <Icon name="search" />
        <input
          id="device-search"
          type="search"
          aria-label={t('devices.search')}
          placeholder={t('devices.search')}
          value={search}
          onInput={(event) => {
            view.filter({ search: event.currentTarget.value });
          }}
        />
      </div>
      <div class="filters">
        <button
          type="button"
          class="chip"
          aria-pressed={chosen === null}
          onClick={() => {
            choose(null);
          }}
        >
          {t('devices.all')}
        </button>
        {search.trim() !== '' && found.length > 0 && found.length < all.length && (
          <button
            type="button"
            class="chip"
            onClick={() => {
              choose(found.map(({ id }) => id));
            }}
          >
            {t('devices.found', { n: found.length })}
          </button>
        )}
        {selected !== null && (
          <button
            type="button"
            class="chip"
            aria-pressed={chosen?.length === 1 && chosen[0] === selected}
            onClick={() => {
              choose([selected]);
            }}
          >
            {t('devices.selected')}
          </button>
        )}
        {chosen !== null && <span class="dim">{many('devices.shown', chosen.length)}</span>}
      </div>
      {tooMany.value && (
        <p class="inline-error" role="alert">
          {t('devices.tooMany', { n: CHOSEN_MAX })}
        </p>
      )}
      <ul class="past-rows" tabIndex={found.length > 0 ? 0 : undefined} aria-label={t('devices.label')}>
        {found.slice(0, ROWS_MAX).map(({ id, label }) => (
          <Row key={id} id={id} label={label} view={view} player={player} isChosen={isChosen(id)} toggle={toggle} />
        ))}
      </ul>
      {found.length > ROWS_MAX && <p class="dim">{t('devices.more', { n: found.length - ROWS_MAX })}</p>}
      {player.present.value !== null && all.length === 0 && <p class="dim">{t('devices.none')}</p>}
      {all.length > 0 && found.length === 0 && <p class="dim">{t('devices.noneFound')}</p>}
    </section>
  );
}

interface RowProps extends Omit<Props, 'hub'> {
  readonly id: string;
  readonly label: string;
  readonly isChosen: boolean;
  readonly toggle: (id: string) => void;
}

function Row({ id, label, view, player, isChosen, toggle }: RowProps): JSX.Element {
  dependOn(player.world.version);
  const track = isChosen ? player.world.tracks.get(id) : undefined;
  const isLoading =
    isChosen && player.archive.at(player.shown.value) === undefined && player.loader.trouble.value === null;
  const isSelected = view.selected.value === id;
  return (
    <li class="past-row" data-selected={isSelected}>
      <input
        type="checkbox"
        aria-label={t('devices.show', { name: label })}
        checked={isChosen}
        onChange={() => {
          toggle(id);
        }}
      />
      <button
        type="button"
        class="quiet past-name"
        aria-pressed={isSelected}
        title={id}
        onClick={() => {
          view.select(isSelected ? null : id);
        }}
      >
        {track !== undefined && <StatusShape status={track.device.status} kind={track.kind} />}
        <span class="name">{label}</span>
        <span class="past-place">
          {track === undefined ? t(isLoading ? 'past.loading' : 'devices.gone') : place(track)}
        </span>
      </button>
      {isSelected && track !== undefined && <Facts track={track} player={player} />}
    </li>
  );
}

const place = ({ shownX, shownY }: Track): string =>
  t('devices.place', { x: decimals(shownX, 2), y: decimals(shownY, 2) });

function Facts({ track: { device }, player }: { readonly track: Track; readonly player: Player }): JSX.Element {
  const seen = parseTime(device.last_seen);
  const age = Math.max(0, player.shown.value - (seen ?? NaN));
  // Between two fixes tenths count.
  const time = age < TENTHS_MS ? t('devices.seconds', { n: decimals(age / 1_000, 1) }) : ago(age);
  return (
    <p class="past-facts dim">
      {seen !== undefined && <span>{t('devices.age', { time })}</span>}
      {device.accuracy !== undefined && <span>± {decimals(device.accuracy, 2)} m</span>}
      {device.battery !== undefined && <span>{count(Math.round(device.battery))} %</span>}
    </p>
  );
}
