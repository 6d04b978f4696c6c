import type { JSX } from 'preact';

import { dependOn } from '../depend';
import type { Hub } from '../hub';
import { clockTime } from '../time';
import { count, t as common } from '../words';
import { RATE_SECONDS, sparkPath, type Vitals } from './vitals';
import { t } from './words';

const BOX = { width: 220, height: 34 };

/** The rate of the fixes and the battery, as lines drawn by hand: they need no library. */
export function Charts({
  hub,
  vitals,
  id,
}: {
  readonly hub: Hub;
  readonly vitals: Vitals;
  readonly id: string;
}): JSX.Element {
  dependOn(hub.now);
  const rates = vitals.rates(id);
  const charges = vitals.charges(id);
  const most = Math.max(1, ...rates);
  const now = rates.at(-1);
  const [first, last] = [charges[0], charges.at(-1)];
  // The page counts monotonic time; people read that of the clock.
  const toClock = (at: number): number => Date.now() - performance.now() + at;
  return (
    <div class="charts">
      {now !== undefined && (
        <figure>
          <figcaption>
            <span>{t('card.rate')}</span> <b>{count(now)}</b>
          </figcaption>
          <Line
            says={t('card.rateSays', { now: count(now), most: count(most) })}
            d={sparkPath(
              rates.map((rate, index) => [index - rates.length, rate]),
              BOX,
              [0, most],
              [-RATE_SECONDS, -1],
            )}
          />
        </figure>
      )}
      {first !== undefined && last !== undefined && last.at > first.at && (
        <figure>
          <figcaption>
            <span>{t('card.batteryTitle', { time: clockTime(toClock(first.at)) })}</span>{' '}
            <b>{common('battery.percent', { n: last.percent })}</b>
          </figcaption>
          <Line
            says={t('card.batterySays', {
              time: clockTime(toClock(first.at)),
              first: count(first.percent),
              last: count(last.percent),
            })}
            d={sparkPath(
              charges.map(({ at, percent }) => [at, percent]),
              BOX,
              [0, 100],
            )}
          />
        </figure>
      )}
    </div>
  );
}

function Line({ d, says }: { readonly d: string; readonly says: string }): JSX.Element {
  return (
    <svg
      class="spark"
      role="img"
      aria-label={says}
      viewBox={`0 -2 ${String(BOX.width)} ${String(BOX.height + 4)}`}
      preserveAspectRatio="none"
    >
      <path class="spark-ground" d={`M0 ${String(BOX.height)}H${String(BOX.width)}`} />
      <path class="spark-line" d={d} vector-effect="non-scaling-stroke" />
    </svg>
  );
}
