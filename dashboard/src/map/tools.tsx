import type { Signal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';

import { Icon, type IconName } from '../icons';
import { TRAIL_SECONDS, type View } from '../view';
import { t } from '../words';
import type { MapController } from './controller';

/** The tools that the live map and the map of the past have in common. */

interface SignProps {
  readonly word: string;
  readonly press: () => void;
  /** As a person reads it. */
  readonly hotkey?: string | undefined;
  /** As `aria-keyshortcuts` wants it. */
  readonly shortcut?: string | undefined;
  readonly pressed?: boolean | undefined;
  readonly children: ComponentChildren;
}

/** A button that is a sign: its word is there for those who point at it or hear it. */
export function SignButton({ word, press, hotkey, shortcut, pressed, children }: SignProps): JSX.Element {
  return (
    <button
      type="button"
      class="quiet square"
      aria-label={word}
      title={hotkey === undefined ? word : `${word} (${hotkey})`}
      aria-keyshortcuts={shortcut}
      aria-pressed={pressed}
      onClick={press}
    >
      {children}
    </button>
  );
}

interface PressProps extends Omit<SignProps, 'children' | 'shortcut'> {
  readonly icon: IconName;
  readonly children?: ComponentChildren;
}

/** A tool of the map. */
export function Press({ icon, children, ...more }: PressProps): JSX.Element {
  return (
    <SignButton {...more}>
      <Icon name={icon} />
      {children}
    </SignButton>
  );
}

interface SwitchProps extends Omit<PressProps, 'press' | 'pressed'> {
  readonly on: Signal<boolean>;
}

/** A tool that is on or off. */
export function Switch({ on, ...more }: SwitchProps): JSX.Element {
  return (
    <Press
      {...more}
      pressed={on.value}
      press={() => {
        on.value = !on.value;
      }}
    />
  );
}

const LAYERS = {
  heat: { icon: 'heat', hotkey: 'h' },
  accuracy: { icon: 'accuracy', hotkey: 'c' },
  names: { icon: 'names', hotkey: 'n' },
  trails: { icon: 'trail', hotkey: 't' },
} as const;

interface LayerProps {
  readonly view: View;
  readonly layers: readonly (keyof typeof LAYERS)[];
}

/** What is drawn with the tags, and how long their trails are. */
export function LayerSwitches({ view, layers }: LayerProps): JSX.Element {
  return (
    <>
      {layers.map((layer) => (
        <Switch key={layer} {...LAYERS[layer]} word={t(`map.${layer}`)} on={view[layer]} />
      ))}
      <TrailLength view={view} />
    </>
  );
}

function TrailLength({ view }: { readonly view: View }): JSX.Element {
  return (
    <select
      aria-label={t('map.trailLength')}
      title={t('map.trailLength')}
      disabled={!view.trails.value}
      value={String(view.trailSeconds.value)}
      onChange={(event) => {
        const wanted = Number(event.currentTarget.value);
        view.trailSeconds.value = TRAIL_SECONDS.find((seconds) => seconds === wanted) ?? 10;
      }}
    >
      {TRAIL_SECONDS.map((seconds) => (
        <option key={seconds} value={String(seconds)}>
          {seconds < 60 ? t('time.seconds', { n: seconds }) : t('time.minutes', { n: seconds / 60 })}
        </option>
      ))}
    </select>
  );
}

/** The floors, top above bottom; a site with one needs no switch. */
export function Floors({ view, map }: { readonly view: View; readonly map: MapController }): JSX.Element | null {
  const floors = map.floors.value;
  const chosen = view.floor.value;
  if (floors.length < 2 && chosen === null) return null;
  const shown = chosen === null || floors.includes(chosen) ? floors : [...floors, chosen].sort((a, b) => a - b);
  return (
    <div class="tool-group floors" role="group" aria-label={t('map.floor')}>
      {chosen !== null && <Switch icon="layers" word={t('map.floors.faint')} on={view.faintFloors} />}
      <button
        type="button"
        class="quiet"
        aria-pressed={chosen === null}
        onClick={() => {
          view.floor.value = null;
        }}
      >
        {t('map.floors.all')}
      </button>
      {shown.map((floor, index) => (
        <button
          key={floor}
          type="button"
          class="quiet square"
          aria-label={`${t('map.floor')} ${String(floor)}`}
          title={`${t('map.floor')} ${String(floor)}${index < 9 ? ` (${String(index + 1)})` : ''}`}
          aria-pressed={chosen === floor}
          onClick={() => {
            view.floor.value = floor;
          }}
        >
          {floor}
        </button>
      ))}
    </div>
  );
}

/** Nearer, farther, all of it. */
export function ZoomTools({ map }: { readonly map: MapController }): JSX.Element {
  return (
    <div class="tool-group">
      <Press
        icon="plus"
        word={t('map.zoomIn')}
        hotkey="+"
        press={() => {
          map.zoomBy(1.4);
        }}
      />
      <Press
        icon="minus"
        word={t('map.zoomOut')}
        hotkey="−"
        press={() => {
          map.zoomBy(1 / 1.4);
        }}
      />
      <Press
        icon="fit"
        word={t('map.fit')}
        hotkey="0"
        press={() => {
          map.fit();
        }}
      />
    </div>
  );
}
