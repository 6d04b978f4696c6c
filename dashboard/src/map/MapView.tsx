import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { dependOn } from '../depend';
import type { Hub } from '../hub';
import { Icon } from '../icons';
import { LINK } from '../shell/link';
import { clockTime } from '../time';
import { TRAIL_SECONDS, type View } from '../view';
import type { MapController } from './controller';
import './map.css';

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

export function MapView({ hub, view, map }: Props): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (element.current === null || canvas.current === null) return undefined;
    return map.attach(element.current, canvas.current);
  }, [map]);

  const live = hub.live.value;
  return (
    <div class="map" data-live={live}>
      <div
        ref={element}
        class="map-field"
        role="application"
        aria-roledescription="map"
        aria-label="Map of the site. Arrow keys move it, plus and minus zoom, 0 shows all. The device list says the same in words."
        tabIndex={0}
        data-hovering={view.hovered.value !== null}
        onKeyDown={(event) => {
          const step = ARROWS[event.key];
          if (step !== undefined) {
            event.preventDefault();
            map.panBy(...step);
          } else if (event.key === 'Enter' && view.selected.value !== null) {
            view.centre.value += 1;
          }
        }}
      >
        <canvas ref={canvas} />
      </div>
      {!live && <NotLive hub={hub} />}
      {live && <Empty hub={hub} />}
      <Tools view={view} map={map} />
      <Scale map={map} />
    </div>
  );
}

function NotLive({ hub }: { readonly hub: Hub }): JSX.Element {
  const at = hub.dataAt.value;
  return (
    <p class="map-banner">
      <b>{hub.gate.value === 'open' ? LINK[hub.link.value].word : 'Signed out'}</b>{' '}
      {at === null ? 'No data yet' : <>as of {clockTime(at)}</>}
    </p>
  );
}

function Empty({ hub }: { readonly hub: Hub }): JSX.Element | null {
  dependOn(hub.world.version);
  if (hub.world.tracks.size > 0) return null;
  return (
    <p class="map-banner">
      <b>No devices yet.</b> They appear here as soon as one reports.
    </p>
  );
}

function Tools({ view, map }: Omit<Props, 'hub'>): JSX.Element {
  return (
    <div class="map-tools" role="group" aria-label="Map tools">
      <div class="tool-group">
        <button
          type="button"
          aria-label="Zoom in"
          title="Zoom in (+)"
          onClick={() => {
            map.zoomBy(1.4);
          }}
        >
          <Icon name="plus" />
        </button>
        <button
          type="button"
          aria-label="Zoom out"
          title="Zoom out (−)"
          onClick={() => {
            map.zoomBy(1 / 1.4);
          }}
        >
          <Icon name="minus" />
        </button>
        <button
          type="button"
          aria-label="Show the whole site"
          title="Show the whole site (0)"
          onClick={() => {
            map.fit();
          }}
        >
          <Icon name="fit" />
        </button>
      </div>
      <div class="tool-group">
        <button
          type="button"
          aria-label="Names"
          title="Names (n)"
          aria-pressed={view.names.value}
          onClick={() => {
            view.names.value = !view.names.value;
          }}
        >
          <Icon name="names" />
        </button>
        <button
          type="button"
          aria-label="Trails"
          title="Trails (t)"
          aria-pressed={view.trails.value}
          onClick={() => {
            view.trails.value = !view.trails.value;
          }}
        >
          <Icon name="trail" />
        </button>
        <select
          aria-label="Length of the trails"
          title="Length of the trails"
          disabled={!view.trails.value}
          value={String(view.trailSeconds.value)}
          onChange={(event) => {
            const wanted = Number(event.currentTarget.value);
            view.trailSeconds.value = TRAIL_SECONDS.find((seconds) => seconds === wanted) ?? 10;
          }}
        >
          {TRAIL_SECONDS.map((seconds) => (
            <option key={seconds} value={String(seconds)}>
              {seconds < 60 ? `${String(seconds)} s` : `${String(seconds / 60)} min`}
            </option>
          ))}
        </select>
      </div>
    </div>
  );
}

function Scale({ map }: { readonly map: MapController }): JSX.Element {
  const bar = map.bar.value;
  const cursor = map.cursor.value;
  return (
    <div class="map-scale" aria-hidden="true">
      <div class="scale-bar" style={{ width: `${bar.pixels.toFixed(1)}px` }}>
        {bar.label}
      </div>
      {cursor !== null && (
        <span class="cursor">
          x {cursor.x.toFixed(2)} y {cursor.y.toFixed(2)} m
        </span>
      )}
    </div>
  );
}
