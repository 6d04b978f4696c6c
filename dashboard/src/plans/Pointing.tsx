import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { Hub } from '../hub';
import { Icon } from '../icons';
import type { MapController } from '../map/controller';
import type { Point } from '../map/camera';
import type { View } from '../view';
import { decimals } from '../words';
import { addressOf, draft, type Draft } from './book';
import type { Calibration, Pair } from './plan';
import { t } from './words';

interface Props {
  readonly edited: Draft;
  readonly hub: Hub;
  readonly view: View;
  readonly map: MapController;
}

const LETTERS = ['A', 'B'] as const;
type Which = 0 | 1;

const ARROWS: Partial<Record<string, readonly [dx: number, dy: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
/** So much larger or smaller with one press, and so large at most. */
const ZOOM_STEP = 1.6;
const ZOOM_MAX = 16;

const tenth = (value: number): number => Math.round(value * 10) / 10;

/** Changes one of the two pairs of the draft. */
function set(which: Which, part: Partial<Pair>): void {
  const now = draft.peek();
  if (now === null) return;
  const [a, b] = now.calibration;
  const calibration: Calibration = which === 0 ? [{ ...a, ...part }, b] : [a, { ...b, ...part }];
  draft.value = { ...now, calibration };
}

/** The picture with its two points, and the metres of each. */
export function Pointing({ edited, hub, view }: Props): JSX.Element {
  const chosen = useSignal<Which>(0);
  const zoom = useSignal(1);
  const frame = useRef<HTMLDivElement>(null);
  const { picture, calibration } = edited;
  const point = (at: Point): void => {
    const x = Math.min(picture.width, Math.max(0, at.x));
    const y = Math.min(picture.height, Math.max(0, at.y));
    set(chosen.peek(), { pixel: { x: tenth(x), y: tenth(y) } });
  };
  /** What was in the middle stays there. */
  const zoomTo = (factor: number): void => {
    const field = frame.current;
    const before = zoom.peek();
    zoom.value = Math.min(ZOOM_MAX, Math.max(1, before * factor));
    if (field === null) return;
    const [x, y] = [field.scrollLeft + field.clientWidth / 2, field.scrollTop + field.clientHeight / 2];
    const grown = zoom.peek() / before;
    requestAnimationFrame(() => {
      field.scrollTo(x * grown - field.clientWidth / 2, y * grown - field.clientHeight / 2);
    });
  };
  return (
    <fieldset class="plans-place">
      <legend>{t('place')}</legend>
      <p class="panel-note">{t('place.hint')}</p>
      <div class="plans-view">
        <div class="plans-frame" ref={frame} role="group" aria-label={t('picture')}>
          <Sheet zoom={zoom.value} picture={picture} point={point}>
            {LETTERS.map((letter, index) => (
              <Marker
                key={letter}
                letter={letter}
                at={(calibration[index] ?? calibration[0]).pixel}
                sides={picture}
                chosen={chosen.value === index}
                choose={() => {
                  chosen.value = index === 0 ? 0 : 1;
                }}
                move={point}
              />
            ))}
          </Sheet>
        </div>
        <div class="tool-group plans-zoom">
          <button
            type="button"
            aria-label={t('zoom.in')}
            title={t('zoom.in')}
            onClick={() => {
              zoomTo(ZOOM_STEP);
            }}
          >
            <Icon name="plus" />
          </button>
          <button
            type="button"
            aria-label={t('zoom.out')}
            title={t('zoom.out')}
            onClick={() => {
              zoomTo(1 / ZOOM_STEP);
            }}
          >
            <Icon name="minus" />
          </button>
        </div>
      </div>
      {LETTERS.map((letter, index) => (
        <Metres
          key={letter}
          letter={letter}
          which={index === 0 ? 0 : 1}
          pair={calibration[index] ?? calibration[0]}
          chosen={chosen}
          hub={hub}
          view={view}
        />
      ))}
    </fieldset>
  );
}

interface SheetProps {
  readonly zoom: number;
  readonly picture: Draft['picture'];
  readonly point: (at: Point) => void;
  readonly children: JSX.Element[];
}

/** The picture as large as it is wanted; where it is pressed, the chosen point is. */
function Sheet({ zoom, picture, point, children }: SheetProps): JSX.Element {
  return (
    <div
      class="plans-sheet"
      style={{ width: `${String(zoom * 100)}%`, aspectRatio: `${String(picture.width)} / ${String(picture.height)}` }}
      onClick={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        // The keyboard presses the markers, and not a place.
        if (event.detail === 0 || box.width === 0) return;
        point({
          x: ((event.clientX - box.left) / box.width) * picture.width,
          y: ((event.clientY - box.top) / box.height) * picture.height,
        });
      }}
    >
      <img alt="" draggable={false} src={addressOf(picture.url)} />
      {children}
    </div>
  );
}

interface MarkerProps {
  readonly letter: string;
  readonly at: Point;
  readonly sides: { readonly width: number; readonly height: number };
  readonly chosen: boolean;
  readonly choose: () => void;
  readonly move: (to: Point) => void;
}

function Marker({ letter, at, sides, chosen, choose, move }: MarkerProps): JSX.Element {
  return (
    <button
      type="button"
      class="plans-marker"
      style={{ left: `${String((at.x / sides.width) * 100)}%`, top: `${String((at.y / sides.height) * 100)}%` }}
      data-letter={letter}
      data-below={at.y < sides.height * 0.25}
      aria-pressed={chosen}
      aria-label={t('point.at', { letter, x: decimals(at.x, 1), y: decimals(at.y, 1) })}
      onClick={(event) => {
        event.stopPropagation();
        choose();
      }}
      onFocus={choose}
      onKeyDown={(event) => {
        const step = ARROWS[event.key];
        if (step === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        const pixels = event.shiftKey ? 10 : 1;
        move({ x: at.x + step[0] * pixels, y: at.y + step[1] * pixels });
      }}
    >
      {letter}
    </button>
  );
}

interface MetresProps {
  readonly letter: string;
  readonly which: Which;
  readonly pair: Pair;
  readonly chosen: { value: Which };
  readonly hub: Hub;
  readonly view: View;
}

function Metres({ letter, which, pair, chosen, hub, view }: MetresProps): JSX.Element {
  const track = view.selected.value === null ? undefined : hub.world.tracks.get(view.selected.value);
  const pick = (): void => {
    chosen.value = which;
  };
  return (
    <div class="plans-point" data-chosen={chosen.value === which}>
      <button
        type="button"
        class="plans-letter"
        data-letter={letter}
        aria-pressed={chosen.value === which}
        aria-label={t('point', { letter })}
        onClick={pick}
      >
        {letter}
      </button>
      <Metre
        label={t('metres.x', { letter })}
        unit="x"
        value={pair.metres.x}
        focus={pick}
        set={(x) => {
          set(which, { metres: { ...now(which).metres, x } });
        }}
      />
      <Metre
        label={t('metres.y', { letter })}
        unit="y"
        value={pair.metres.y}
        focus={pick}
        set={(y) => {
          set(which, { metres: { ...now(which).metres, y } });
        }}
      />
      {track?.placed === true && (
        <button
          type="button"
          class="quiet square"
          aria-label={t('here', { name: track.label })}
          title={t('here', { name: track.label })}
          onClick={() => {
            set(which, { metres: { x: track.x, y: track.y } });
          }}
        >
          <Icon name="pin" />
        </button>
      )}
    </div>
  );
}

/** The pair as it is at this moment: two fields may change in one turn. */
function now(which: Which): Pair {
  const pair = draft.peek()?.calibration[which];
  return pair ?? { pixel: { x: 0, y: 0 }, metres: { x: NaN, y: NaN } };
}

interface MetreProps {
  readonly label: string;
  readonly unit: string;
  readonly value: number;
  readonly focus: () => void;
  readonly set: (metres: number) => void;
}

/** A number as it is typed: `-`, `1.` and nothing at all are on the way to one. */
function Metre({ label, unit, value, focus, set: change }: MetreProps): JSX.Element {
  const text = useSignal(written(value));
  useEffect(() => {
    // Only what came from elsewhere is written anew.
    if (Number.isFinite(value) && read(text.peek()) !== value) text.value = written(value);
  }, [value, text]);
  return (
    <label class="plans-metre">
      <span aria-hidden="true">{unit}</span>
      <input
        inputMode="decimal"
        autocomplete="off"
        aria-label={label}
        aria-invalid={!Number.isFinite(value)}
        value={text}
        onFocus={focus}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          change(read(text.peek()));
        }}
      />
      <span aria-hidden="true">m</span>
    </label>
  );
}

const written = (value: number): string => (Number.isFinite(value) ? String(Math.round(value * 1_000) / 1_000) : '');

/** A comma is a decimal point to many readers. */
function read(text: string): number {
  const tidy = text.trim().replace(',', '.');
  return tidy === '' ? NaN : Number(tidy);
}
