import { useComputed } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { dependOn } from '../depend';
import type { Hub } from '../hub';
import { Icon } from '../icons';
import { later } from '../later';
import { firstOf } from '../pages/pages';
import { asOf, LINK } from '../shell/link';
import { clockTime } from '../time';
import type { View } from '../view';
import { decimals, many, t } from '../words';
import type { MapController } from './controller';
import { area, total } from './measure';
import { Floors, LayerSwitches, Press, Switch, ZoomTools } from './tools';
import './map.css';

const planTools = later(({ PlanTools }) => PlanTools);

interface Props {
  readonly hub: Hub;
  readonly view: View;
  readonly map: MapController;
}

const ARROWS: Partial<Record<string, readonly [dx: number, dy: number]>> = {
  ArrowLeft: [80, 0],
  ArrowRight: [-80, 0],
  ArrowUp: [0, 80],
  ArrowDown: [0, -80],
};
/** Pixels of one press while measuring: a point wants to be set with care. */
const CAREFUL = 0.25;

interface FieldProps {
  readonly view: View;
  readonly map: MapController;
  readonly label: string;
}

/** The picture itself, and what hands and keys do in it. */
export function MapField({ view, map, label }: FieldProps): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (element.current === null || canvas.current === null) return undefined;
    return map.attach(element.current, canvas.current);
  }, [map]);

  const measuring = view.measuring.value;
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = ARROWS[event.key];
    if (step !== undefined) {
      const share = measuring && event.shiftKey ? CAREFUL / 10 : measuring ? CAREFUL : 1;
      map.panBy(step[0] * share, step[1] * share);
    } else if (measuring && event.key === 'Enter') map.measureHere();
    else if (measuring && event.key === 'Backspace') map.takeBackPoint();
    else if (event.key === 'Enter' && view.selected.value !== null) view.centre.value += 1;
    else return;
    event.preventDefault();
  };
  return (
    <>
      <div
        ref={element}
        class="map-field"
        role="application"
        aria-roledescription={t('map.role')}
        aria-label={label}
        tabIndex={0}
        data-hovering={view.hovered.value !== null}
        onKeyDown={onKeyDown}
      >
        <canvas ref={canvas} />
      </div>
      {measuring && (
        <span class="map-cross">
          <Icon name="cross" size={22} />
        </span>
      )}
    </>
  );
}

export function MapView({ hub, view, map }: Props): JSX.Element {
  const live = hub.live.value;
  const measuring = view.measuring.value;
  return (
    <div class="map" data-live={live} data-measuring={measuring}>
      <MapField view={view} map={map} label={t('map.label')} />
      <div class="map-top">
        {!live && <NotLive hub={hub} />}
        {live && <Empty hub={hub} view={view} />}
        {view.paused.value && <Paused hub={hub} view={view} />}
        {measuring && <Measured view={view} map={map} />}
      </div>
      <div class="map-bottom">
        <div class="map-corner">
          {view.heat.value && <HeatLegend map={map} />}
          <Scale map={map} />
        </div>
        {!view.kiosk && <Tools view={view} map={map} hub={hub} />}
      </div>
    </div>
  );
}

function NotLive({ hub }: { readonly hub: Hub }): JSX.Element {
  return (
    <p class="map-banner is-lost">
      <b>{t(hub.gate.value === 'open' ? LINK[hub.link.value].word : 'map.signedOut')}</b> {asOf(hub)}
    </p>
  );
}

function Empty({ hub, view }: Omit<Props, 'map'>): JSX.Element | null {
  dependOn(hub.world.version);
  if (hub.world.tracks.size > 0) return null;
  const how = view.kiosk ? undefined : firstOf('connect', hub.session.value?.permissions ?? []);
  return (
    <div class="map-banner">
      <span>
        <b>{t('map.empty')}</b> {t('map.emptyNote')}
      </span>
      {how !== undefined && (
        <button
          type="button"
          class="small"
          onClick={() => {
            view.page.value = how;
          }}
        >
          <Icon name="link" /> {t('map.connect')}
        </button>
      )}
    </div>
  );
}

function Paused({ hub, view }: Omit<Props, 'map'>): JSX.Element {
  const since = useRef(hub.dataAt.peek() ?? Date.now());
  return (
    <div class="map-banner">
      <span role="status">
        <b>{t('map.paused')}</b> {t('map.asOf', { time: clockTime(since.current) })}
      </span>
      <button
        type="button"
        class="small"
        onClick={() => {
          view.paused.value = false;
        }}
      >
        <Icon name="play" /> {t('map.resume')}
      </button>
    </div>
  );
}

/** What has been measured, in words. */
export function Measured({ view, map }: Omit<Props, 'hub'>): JSX.Element {
  const points = map.ruler.value;
  return (
    <div class="map-banner measure" role="group" aria-label={t('measure.label')}>
      <span role="status">
        {points.length < 2 ? (
          t('measure.start')
        ) : (
          <>
            <b>{t('measure.length', { length: decimals(total(points), 2) })}</b>
            <span class="dim">{many('measure.points', points.length)}</span>
            {points.length > 2 && <span class="dim">{t('measure.area', { area: decimals(area(points), 2) })}</span>}
          </>
        )}
      </span>
      {points.length > 0 && (
        <>
          <Press
            icon="undo"
            word={t('measure.back')}
            press={() => {
              map.takeBackPoint();
            }}
          />
          <Press
            icon="trash"
            word={t('measure.clear')}
            press={() => {
              map.ruler.value = [];
            }}
          />
        </>
      )}
      <Press
        icon="close"
        word={t('measure.close')}
        press={() => {
          view.measuring.value = false;
        }}
      />
    </div>
  );
}

function Tools({ hub, view, map }: Props): JSX.Element {
  return (
    <div class="map-tools" role="group" aria-label={t('map.tools')}>
      <Floors view={view} map={map} />
      <div class="tool-group">
        <Switch icon={view.paused.value ? 'play' : 'pause'} word={t('map.pause')} hotkey="Space" on={view.paused} />
        <Switch icon="measure" word={t('map.measure')} hotkey="d" on={view.measuring} />
      </div>
      <planTools.Part hub={hub} view={view} />
      <Layers hub={hub} view={view} />
      <ZoomTools map={map} />
    </div>
  );
}

const LAYERS = ['heat', 'accuracy', 'names', 'trails'] as const;

function Layers({ hub, view }: Omit<Props, 'map'>): JSX.Element {
  const health = useHealth(hub);
  const wrong = health.stale + health.gone;
  const said =
    wrong === 0
      ? many('map.anchorsWell', health.all)
      : t('map.anchorsIll', { n: health.all, stale: health.stale, gone: health.gone });
  return (
    <div class="tool-group" role="group" aria-label={t('map.layers')}>
      {health.all > 0 && (
        <Switch icon="anchor" word={`${t('map.anchors')}: ${said}`} hotkey="a" on={view.anchors}>
          {wrong > 0 && <span class="tool-badge">{wrong}</span>}
        </Switch>
      )}
      <LayerSwitches view={view} layers={LAYERS} />
    </div>
  );
}

interface Health {
  readonly all: number;
  readonly stale: number;
  readonly gone: number;
}

/** How the anchors and gateways are. */
function useHealth(hub: Hub): Health {
  const health = useComputed(() => {
    dependOn(hub.world.version);
    let [all, stale, gone] = [0, 0, 0];
    for (const { kind, status } of hub.world.devices()) {
      if (kind === 'tag') continue;
      all += 1;
      if (status === 'stale') stale += 1;
      if (status === 'disconnected') gone += 1;
    }
    return [all, stale, gone].join();
  });
  const [all = 0, stale = 0, gone = 0] = health.value.split(',').map(Number);
  return { all, stale, gone };
}

function HeatLegend({ map }: { readonly map: MapController }): JSX.Element | null {
  const since = map.heat.since.value;
  if (since === null) return null;
  return (
    <div class="heat-legend" title={t('map.heatTitle', { time: clockTime(since) })}>
      <span>{t('map.heatLess')}</span>
      <span class="heat-ramp" />
      <span>{t('map.heatMore')}</span>
    </div>
  );
}

export function Scale({ map }: { readonly map: MapController }): JSX.Element {
  const bar = map.bar.value;
  const cursor = map.cursor.value;
  return (
    <div class="map-scale" aria-hidden="true">
      <div class="scale-bar" style={{ width: `${bar.pixels.toFixed(1)}px` }}>
        {bar.label}
      </div>
      {cursor !== null && (
        <span class="cursor">{t('map.cursor', { x: decimals(cursor.x, 2), y: decimals(cursor.y, 2) })}</span>
      )}
    </div>
  );
}
