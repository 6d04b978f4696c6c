import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';

import type { Hub } from '../../hub';
import { Icon } from '../../icons';
import { ago } from '../../time';
import { rangeInWords, timeZone } from './moments';
import { fromLocalField, PRESETS, RANGE_MS_MIN, toLocalField, total, type Preset } from './plan';
import type { Player } from './player';
import { Key } from './Transport';
import { many, t } from './words';

interface Props {
  readonly hub: Hub;
  readonly player: Player;
}

/** Which stretch of time is shown: presets, one's own, and a part of it. */
export function Ranges({ hub, player }: Props): JSX.Element {
  const own = useSignal(false);
  const { start, end } = player.range.value;
  const density = player.density.value;
  return (
    <div class="ranges">
      <div class="ranges-row" role="group" aria-label={t('range.label')}>
        {(Object.keys(PRESETS) as Preset[]).map((preset) => (
          <button
            key={preset}
            type="button"
            class="small"
            onClick={() => {
              const now = hub.clock.now();
              player.choose({ start: now - PRESETS[preset], end: now });
            }}
          >
            {t(`range.preset.${preset}`)}
          </button>
        ))}
        <button
          type="button"
          class="small"
          aria-expanded={own.value}
          onClick={() => {
            own.value = !own.value;
          }}
        >
          {t('range.own')}
        </button>
        <span class="ranges-cut">
          <Key
            glyph="cutBefore"
            word={t('range.cutBefore')}
            hotkey="["
            press={() => {
              player.zoom(player.instant, player.range.peek().end);
            }}
          />
          <Key
            glyph="cutAfter"
            word={t('range.cutAfter')}
            hotkey="]"
            press={() => {
              player.zoom(player.range.peek().start, player.instant);
            }}
          />
          {player.canGoBack.value && (
            <button
              type="button"
              class="small"
              title={`${t('range.back')} (Backspace)`}
              onClick={() => {
                player.goBack();
              }}
            >
              <Icon name="undo" />
              {t('range.back')}
            </button>
          )}
        </span>
        <p class="ranges-said">
          <span>{rangeInWords(start, end)}</span>
          {density !== null && (
            <span class="dim" title={density.isEstimate ? t('past.estimateNote') : undefined}>
              {many('past.fixes', total(density))}
              {density.isEstimate && ` (${t('past.estimate')})`}
            </span>
          )}
          {player.everyMs.value > 0 && (
            <span class="ranges-thinned" title={t('past.thinnedNote')}>
              <Icon name="filter" size={14} />
              {t('past.thinned', { time: spacingInWords(player.everyMs.value) })}
            </span>
          )}
        </p>
      </div>
      {own.value && <Own player={player} />}
    </div>
  );
}

const spacingInWords = (ms: number): string => (ms < 1_000 ? `${String(ms)} ms` : ago(ms));

/** A range of one's own, in the reader's own time. */
function Own({ player }: Pick<Props, 'player'>): JSX.Element {
  const range = player.range.peek();
  const from = useSignal(toLocalField(range.start));
  const to = useSignal(toLocalField(range.end));
  const isWrong = useSignal(false);
  const submit = (event: Event): void => {
    event.preventDefault();
    const start = fromLocalField(from.value);
    const end = fromLocalField(to.value);
    isWrong.value = start === undefined || end === undefined || end - start < RANGE_MS_MIN;
    if (!isWrong.value && start !== undefined && end !== undefined) player.choose({ start, end });
  };
  const field = (word: 'range.from' | 'range.to', value: typeof from): JSX.Element => (
    <label>
      {t(word)}
      <input
        type="datetime-local"
        step="1"
        value={value.value}
        aria-invalid={isWrong.value}
        aria-describedby={isWrong.value ? 'range-wrong' : undefined}
        onInput={(event) => {
          value.value = event.currentTarget.value;
        }}
      />
    </label>
  );
  return (
    <form class="ranges-own" onSubmit={submit} noValidate>
      {field('range.from', from)}
      {field('range.to', to)}
      <button type="submit" class="primary small">
        {t('range.show')}
      </button>
      <span class="dim">{t('range.zone', { zone: timeZone() })}</span>
      {isWrong.value && (
        <span id="range-wrong" class="inline-error" role="alert">
          {t('range.invalid')}
        </span>
      )}
    </form>
  );
}
