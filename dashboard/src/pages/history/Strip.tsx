import { useComputed, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';

import { clockTime } from '../../time';
import { markInWords, inWords } from './moments';
import { marks, type Density } from './plan';
import type { Player } from './player';
import type { Range } from './replay';
import { many, t } from './words';

/** A pointer that moved less than this, in pixels, has clicked. */
const CLICK_SLACK = 5;
const SECOND = 1_000;

interface Props {
  readonly player: Player;
}

/** How many fixes there are over the range; where the hand stands; a click goes there, a drag zooms. */
export function Strip({ player }: Props): JSX.Element {
  const field = useRef<HTMLDivElement>(null);
  const brush = useSignal<Range | null>(null);
  const grip = useRef<{ readonly at: number; readonly x: number } | null>(null);
  const range = player.range.value;
  const shown = player.shown.value;
  const length = range.end - range.start;
  const share = (time: number): string => `${(((time - range.start) / length) * 100).toFixed(3)}%`;

  const timeAt = (event: PointerEvent): number => {
    const box = field.current?.getBoundingClientRect();
    if (box === undefined || box.width === 0) return range.start;
    const part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return range.start + part * length;
  };
  const onPointerDown = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    field.current?.setPointerCapture(event.pointerId);
    grip.current = { at: timeAt(event), x: event.clientX };
  };
  const onPointerMove = (event: PointerEvent): void => {
    const begin = grip.current;
    if (begin === null) return;
    if (brush.value === null && Math.abs(event.clientX - begin.x) < CLICK_SLACK) return;
    const now = timeAt(event);
    brush.value = { start: Math.min(begin.at, now), end: Math.max(begin.at, now) };
  };
  const onPointerUp = (event: PointerEvent): void => {
    const chosen = brush.value;
    const isClick = grip.current !== null && chosen === null;
    grip.current = null;
    brush.value = null;
    if (event.type === 'pointercancel') return;
    if (isClick) player.seek(timeAt(event));
    else if (chosen !== null) player.zoom(chosen.start, chosen.end);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape' && grip.current !== null) {
      grip.current = null;
      brush.value = null;
      event.preventDefault();
      return;
    }
    const to = goTo(event, player.instant, range);
    if (to === undefined) return;
    player.seek(to);
    event.preventDefault();
  };

  const density = player.density.value;
  const near = density === null ? undefined : countAt(density, shown);
  const said =
    near === undefined ? inWords(shown) : t('strip.value', { time: inWords(shown), fixes: fixesInWords(near) });
  return (
    <div class="strip" data-busy={density === null}>
      <div
        ref={field}
        class="strip-field"
        role="slider"
        tabIndex={0}
        aria-label={t('strip.label')}
        aria-valuemin={0}
        aria-valuemax={Math.round(length / SECOND)}
        aria-valuenow={Math.round((shown - range.start) / SECOND)}
        aria-valuetext={said}
        title={t('strip.note')}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerCancel={onPointerUp}
        onKeyDown={onKeyDown}
      >
        <Bars player={player} />
        {brush.value !== null && (
          <div
            class="strip-brush"
            style={{ left: share(brush.value.start), width: share(range.start + brush.value.end - brush.value.start) }}
          >
            <span>
              {clockTime(brush.value.start)} – {clockTime(brush.value.end)}
            </span>
          </div>
        )}
        <div class="strip-hand" style={{ left: share(shown) }} />
      </div>
      <Known player={player} />
      <Marks range={range} />
    </div>
  );
}

const fixesInWords = (n: number): string => (n === 0 ? t('strip.gap') : many('past.fixes', n));

function countAt({ start, end, counts }: Density, time: number): number | undefined {
  if (counts.length === 0 || time < start || time > end) return undefined;
  return counts[Math.min(counts.length - 1, Math.floor(((time - start) / (end - start)) * counts.length))];
}

/** Where a key leads on the strip. */
function goTo({ key, shiftKey }: KeyboardEvent, at: number, { start, end }: Range): number | undefined {
  const second = SECOND * (shiftKey ? 10 : 1);
  const tenth = (end - start) / 10;
  switch (key) {
    case 'ArrowLeft':
    case 'ArrowDown':
      return at - second;
    case 'ArrowRight':
    case 'ArrowUp':
      return at + second;
    case 'PageDown':
      return at - tenth;
    case 'PageUp':
      return at + tenth;
    case 'Home':
      return start;
    case 'End':
      return end;
    default:
      return undefined;
  }
}

const HEIGHT = 100;
/** Even a single fix is seen beside thousands. */
const LEAST = 14;

/** One path for all bars, and one for the gaps: where nothing was recorded, it says so. */
function Bars({ player }: Props): JSX.Element {
  const paths = useComputed(() => {
    const counts = player.density.value?.counts ?? [];
    const most = Math.max(1, ...counts);
    let [bars, gaps] = ['', ''];
    for (const [index, count] of counts.entries()) {
      if (count === 0) gaps += `M${String(index)} 0h1v${String(HEIGHT)}h-1z`;
      else {
        const height = LEAST + (HEIGHT - LEAST - 6) * Math.sqrt(count / most);
        bars += `M${String(index + 0.08)} ${String(HEIGHT)}v-${height.toFixed(1)}h.84v${height.toFixed(1)}z`;
      }
    }
    return { bars, gaps, width: Math.max(1, counts.length) };
  });
  const { bars, gaps, width } = paths.value;
  return (
    <svg
      class="strip-bars"
      viewBox={`0 0 ${String(width)} ${String(HEIGHT)}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path class="strip-gaps" d={gaps} />
      <path d={bars} />
    </svg>
  );
}

/** Which parts are loaded. */
function Known({ player }: Props): JSX.Element {
  const { start, end } = player.range.value;
  // Changes whenever something was loaded or forgotten.
  const isLoading = player.loader.progress.value !== null;
  const length = end - start;
  return (
    <div class="strip-known" data-loading={isLoading} aria-hidden="true">
      {player.archive.chunks.map((chunk) => {
        const from = Math.max(start, chunk.start);
        const to = Math.min(end, chunk.end);
        if (to <= from) return null;
        return (
          <i
            key={chunk.start}
            style={{
              left: `${String(((from - start) / length) * 100)}%`,
              width: `${String(((to - from) / length) * 100)}%`,
            }}
          />
        );
      })}
    </div>
  );
}

function Marks({ range }: { readonly range: Range }): JSX.Element {
  const { times, stepMs } = marks(range, 8);
  const length = range.end - range.start;
  return (
    <div class="strip-marks" aria-hidden="true">
      {times.map((time) => {
        const part = (time - range.start) / length;
        // A word that would hang over the edge is left out.
        if (part < 0.02 || part > 0.98) return null;
        return (
          <span key={time} style={{ left: `${String(part * 100)}%` }}>
            {markInWords(time, stepMs)}
          </span>
        );
      })}
    </div>
  );
}
