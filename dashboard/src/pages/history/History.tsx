import { effect, signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';

import type { Hub } from '../../hub';
import { Icon } from '../../icons';
import { MapController } from '../../map/controller';
import { MapField, Measured, Scale } from '../../map/MapView';
import { Floors, LayerSwitches, Switch, ZoomTools } from '../../map/tools';
import { ago, clockTime, dayAndTime, secondsLeft } from '../../time';
import { takeKeys } from '../../shell/keys';
import type { View } from '../../view';
import { t as say } from '../../words';
import type { PageProps } from '../Pages';
import { restApi } from './api';
import { keepPastInAddress } from './keep';
import { Devices } from './Devices';
import { pastKeys } from './keys';
import { PRESETS, total } from './plan';
import { Player } from './player';
import { Ranges } from './Ranges';
import { Strip } from './Strip';
import { Transport } from './Transport';
import { t } from './words';
import './history.css';

/** The past: the map as it was, and a transport below it. */
export function History({ hub, view }: Omit<PageProps, 'map'>): JSX.Element {
  const { player, map } = useMemo(() => make(hub, view), [hub, view]);
  const isListed = useSignal(!matchMedia('(max-width: 760px)').matches);
  const leave = (): void => {
    view.page.value = 'live';
  };
  useEffect(() => begin(hub, view, player, map), [hub, view, player, map]);
  return (
    <div class="past" data-listed={isListed.value}>
      {isListed.value && <Devices hub={hub} view={view} player={player} />}
      <div class="past-map">
        <div class="map" data-measuring={view.measuring.value}>
          <MapField view={view} map={map} label={t('past.map')} />
          <div class="map-top">
            <AsOf hub={hub} player={player} leave={leave} />
            <Waiting player={player} />
            <Troubled hub={hub} player={player} />
            <Empty hub={hub} player={player} />
            {view.measuring.value && <Measured view={view} map={map} />}
          </div>
          <div class="map-bottom">
            <div class="map-corner">
              <Scale map={map} />
            </div>
            <Tools view={view} map={map} />
          </div>
        </div>
      </div>
      <section class="past-time" aria-label={t('past.title')}>
        <div class="past-top">
          <Ranges hub={hub} player={player} />
          <button
            type="button"
            class="small past-list"
            aria-label={t('devices.title')}
            title={t('devices.title')}
            aria-expanded={isListed.value}
            onClick={() => {
              isListed.value = !isListed.value;
            }}
          >
            <Icon name="list" />
            <span class="word">{t('devices.title')}</span>
          </button>
        </div>
        <Strip player={player} />
        <Transport hub={hub} view={view} player={player} leave={leave} />
      </section>
    </div>
  );
}

function make(hub: Hub, view: View): { player: Player; map: MapController } {
  const player = new Player(restApi, {
    now: () => hub.clock.now(),
    // What a device is called and what it is belong to no moment; where it is does, and is not looked at.
    named: (id) => hub.world.tracks.get(id)?.device,
    along: () => view.selected.peek(),
  });
  const past = {
    world: player.world,
    site: hub.site,
    live: signal(false),
    clock: { now: () => player.instant },
    instant: () => player.instant,
  };
  return { player, map: new MapController(past, view) };
}

/** Connects the replay with the page for as long as it is open. */
function begin(hub: Hub, view: View, player: Player, map: MapController): () => void {
  player.onJump = () => {
    map.jumped();
  };
  view.paused.value = false;
  let named = hub.world.tracks.size;
  const undo = [
    effect(() => {
      player.setTrail(view.trails.value ? view.trailSeconds.value * 1_000 : 0);
    }),
    effect(() => {
      if (hub.world.version.value >= 0 && hub.world.tracks.size !== named) {
        named = hub.world.tracks.size;
        player.world.renew();
      }
    }),
    takeKeys(pastKeys(player, map)),
    keepPastInAddress(player, () => {
      const now = hub.clock.now();
      return { start: now - PRESETS.minutes, end: now };
    }),
  ];
  return () => {
    for (const one of undo) one();
    player.close();
  };
}

interface Props {
  readonly hub: Hub;
  readonly player: Player;
}

/** That this is not live, and of when it is. */
function AsOf({ hub, player, leave }: Props & { readonly leave: () => void }): JSX.Element {
  const shown = player.shown.value;
  const age = hub.clock.now(hub.now.value) - shown;
  return (
    <div class="map-banner past-banner">
      <Icon name="history" />
      <span>
        <b>{t('past.title')}</b> {t('past.asOf', { time: clockTime(shown) })}
        {age >= 1_000 && <span class="dim past-age"> · {t('past.ago', { time: ago(age) })}</span>}
      </span>
      <button type="button" class="small" onClick={leave}>
        {t('past.live')}
      </button>
    </div>
  );
}

function Waiting({ player }: Pick<Props, 'player'>): JSX.Element | null {
  const progress = player.loader.progress.value;
  const isAsking = player.density.value === null && player.densityProblem.value === null;
  // What is loaded ahead of the hand is nobody's concern.
  const isMissed = progress !== null && (player.waiting.value || player.archive.at(player.shown.value) === undefined);
  if (!isMissed && !isAsking) return null;
  const of = Math.max(progress?.of ?? 0, progress?.fixes ?? 0);
  return (
    <p class="map-banner past-wait">
      <span>
        {progress === null
          ? t('past.loading')
          : t('past.loadingFrom', { time: clockTime(progress.piece.start), n: progress.fixes, of })}
      </span>
      <progress aria-label={t('past.loading')} max={Math.max(1, of)} value={progress?.fixes ?? undefined} />
    </p>
  );
}

function Troubled({ hub, player }: Props): JSX.Element | null {
  const trouble = player.loader.trouble.value;
  const problem = player.densityProblem.value ?? trouble?.problem;
  if (problem === undefined) return null;
  const retryAt = player.densityProblem.value === null ? (trouble?.retryAt ?? null) : null;
  return (
    <div class="map-banner is-lost past-trouble" role="alert">
      <span>
        <b>{problem.message}</b> {problem.remedy} <span class="dim">{t('past.code', { code: problem.code })}</span>
        {retryAt !== null && <> {t('past.retryIn', { n: secondsLeft(retryAt, hub.now.value) })}</>}
      </span>
      <button
        type="button"
        class="small"
        onClick={() => {
          player.retry();
        }}
      >
        {t('past.retry')}
      </button>
    </div>
  );
}

/** A minute on each side of what is shown instead of nothing. */
const AROUND_MS = 60_000;

function Empty({ hub, player }: Props): JSX.Element | null {
  const density = player.density.value;
  const elsewhere = player.elsewhere.value;
  if (density === null || total(density) > 0) return null;
  const go = (word: 'past.before' | 'past.after', at: number): JSX.Element => (
    <button
      type="button"
      class="small"
      onClick={() => {
        const isBefore = word === 'past.before';
        player.choose(
          {
            start: at - (isBefore ? PRESETS.minutes : AROUND_MS),
            end: at + (isBefore ? AROUND_MS : PRESETS.minutes),
          },
          at,
        );
      }}
    >
      {t(word, { time: dayAndTime(at, hub.clock.now()) })}
    </button>
  );
  const isChosen = player.devices.value !== null;
  return (
    <div class="map-banner past-empty" role="status">
      <b>{t(isChosen ? 'past.emptyChosen' : 'past.empty')}</b>
      {elsewhere?.before != null && go('past.before', elsewhere.before)}
      {elsewhere?.after != null && go('past.after', elsewhere.after)}
      {isChosen && (
        <button
          type="button"
          class="small"
          onClick={() => {
            player.show(null);
          }}
        >
          {t('past.everyDevice')}
        </button>
      )}
      {elsewhere !== null && elsewhere.before === null && elsewhere.after === null && !isChosen && (
        <span>{t('past.nothing')}</span>
      )}
    </div>
  );
}

const LAYERS = ['accuracy', 'names', 'trails'] as const;

function Tools({ view, map }: { readonly view: View; readonly map: MapController }): JSX.Element {
  return (
    <div class="map-tools" role="group" aria-label={say('map.tools')}>
      <Floors view={view} map={map} />
      <div class="tool-group" role="group" aria-label={say('map.layers')}>
        <Switch icon="measure" word={say('map.measure')} hotkey="d" on={view.measuring} />
        <LayerSwitches view={view} layers={LAYERS} />
      </div>
      <ZoomTools map={map} />
    </div>
  );
}
