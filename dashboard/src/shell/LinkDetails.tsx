import { useSignal } from '@preact/signals';
import type { JSX, RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { dependOn } from '../depend';
import { Fact } from '../detail/DevicePanel';
import { sparkPath } from '../detail/vitals';
import type { Hub } from '../hub';
import { explained } from '../log/text';
import { call } from '../session';
import { ago, clockTime } from '../time';
import type { View } from '../view';
import { count, decimals, t as common } from '../words';
import { LINK, newest, roundTrip } from './link';
import { pulse, PULSE_SECONDS, type Beat } from './pulse';
import { Sentence } from './Sentence';
import { useAway } from './useAway';
import { t } from './words';
import './linkdetails.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
  /** What opened it, and closes it. */
  readonly button: RefObject<HTMLButtonElement | null>;
}

/** What is known of the connection, with the last two minutes as lines. */
export function LinkDetails({ hub, view, button }: Props): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const version = useSignal('');
  useAway(box, button, () => {
    view.linkDetails.value = false;
  });
  useEffect(() => {
    call('GET', 'api/v1/page')
      .then(async (response) => {
        version.value = ((await response.json()) as { version?: string }).version ?? '';
      })
      // An older server has no such page, and one that is away tells nothing.
      .catch(() => undefined);
  }, [version, hub.link.value]);

  const state = hub.link.value;
  const { since, attempts, lastClose } = hub.linkFacts.value;
  const { received, sent, bytes, reconnects } = hub.traffic();
  // Counters are read when the time moves on.
  dependOn(hub.now);
  return (
    <div ref={box} class="card link-details" role="group" tabIndex={-1} aria-label={t('link.details')}>
      <dl>
        <Fact name={t('link.state')}>
          {common(LINK[state].word)}, {t('link.since', { time: clockTime(since), ago: ago(hub.now.value - since) })}
        </Fact>
        <Fact name={common('link.newest')}>{newest(hub)}</Fact>
        <Fact name={common('link.roundTrip')}>{roundTrip(hub.rtt.value)}</Fact>
        {attempts > 0 && <Fact name={t('link.attempts')}>{count(attempts)}</Fact>}
        <Fact name={t('link.reconnects')}>{count(reconnects)}</Fact>
        <Fact name={t('link.lastClose')}>
          {lastClose === null ? (
            t('link.never')
          ) : (
            <>
              {String(lastClose.code)} <code>{lastClose.reason}</code>, {clockTime(lastClose.at)}
              <Closed code={lastClose.code} reason={lastClose.reason} />
            </>
          )}
        </Fact>
        <Fact name={t('link.transport')}>
          {location.protocol === 'https:' ? t('link.wss') : t('link.ws')}, <code>/ws</code>, <code>anita.v1</code>
        </Fact>
        <Fact name={t('link.messages')}>{t('link.inOut', { received, sent })}</Fact>
        <Fact name={t('link.bytes')}>{bytesText(bytes)}</Fact>
        {version.value !== '' && <Fact name={t('link.version')}>{version.value}</Fact>}
      </dl>
      <Lines />
    </div>
  );
}

/** What a close code means, and what to do. */
function Closed({ code, reason }: { readonly code: number; readonly reason: string }): JSX.Element {
  const { meaning, remedy } = explained({ fault: 'connection', cause: { by: 'close', code } }, reason);
  return (
    <span class="link-remedy">
      <Sentence text={`${meaning} ${remedy}`} />
    </span>
  );
}

const BOX = { width: 240, height: 30 };

/** Rate, age and what was left out, over the last two minutes. */
function Lines(): JSX.Element {
  dependOn(pulse.version);
  const beats = [...pulse.beats];
  const ages = beats.flatMap(({ ageMs }) => (ageMs === null ? [] : [ageMs]));
  const dropped = beats.reduce((sum, beat) => sum + beat.dropped, 0);
  const now = beats.at(-1);
  const rates = beats.map(({ rate }) => rate);
  return (
    <div class="link-lines">
      <Line
        title={t('pulse.rate')}
        value={t('pulse.perSecond', { n: now?.rate ?? 0 })}
        says={t('pulse.rateSays', { now: now?.rate ?? 0, most: Math.max(0, ...rates) })}
        d={path(beats, ({ rate }) => rate)}
      />
      <Line
        title={t('pulse.age')}
        value={now?.ageMs == null ? '–' : t('pulse.ms', { n: now.ageMs })}
        says={
          ages.length === 0
            ? t('pulse.ageNone')
            : t('pulse.ageSays', { now: now?.ageMs ?? '–', most: Math.max(...ages) })
        }
        d={path(beats, ({ ageMs }) => ageMs)}
      />
      <Line
        title={t('pulse.dropped')}
        value={count(dropped)}
        says={t('pulse.droppedSays', { n: dropped })}
        d={path(beats, (beat) => beat.dropped)}
      />
      <p class="panel-note">{t('pulse.span')}</p>
    </div>
  );
}

/** The newest at the right end; two minutes are the whole width, however few seconds there are by now. */
function path(beats: readonly Beat[], of: (beat: Beat) => number | null): string {
  const first = PULSE_SECONDS - beats.length;
  const points = beats.flatMap((beat, index): [number, number][] => {
    const value = of(beat);
    return value === null ? [] : [[first + index, value]];
  });
  const most = Math.max(1, ...points.map(([, value]) => value));
  return points.length < 2 ? '' : sparkPath(points, BOX, [0, most], [0, PULSE_SECONDS - 1]);
}

interface LineProps {
  readonly title: string;
  readonly value: string;
  readonly says: string;
  readonly d: string;
}

function Line({ title, value, says, d }: LineProps): JSX.Element {
  return (
    <figure>
      <figcaption>
        <span>{title}</span> <b>{value}</b>
      </figcaption>
      <svg
        class="pulse"
        role="img"
        aria-label={says}
        viewBox={`0 -2 ${String(BOX.width)} ${String(BOX.height + 4)}`}
        preserveAspectRatio="none"
      >
        <path class="pulse-ground" d={`M0 ${String(BOX.height)}H${String(BOX.width)}`} />
        <path class="pulse-line" d={d} vector-effect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}

function bytesText(bytes: number): string {
  if (bytes < 1_000) return t('link.byteCount', { n: bytes });
  if (bytes < 1_000_000) return t('link.kilobytes', { n: decimals(bytes / 1_000, 1) });
  return t('link.megabytes', { n: decimals(bytes / 1_000_000, 1) });
}
