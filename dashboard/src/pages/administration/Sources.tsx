import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';

import { Icon, type LinkShape } from '../../icons';
import { Sentence } from '../../shell/Sentence';
import { parseTime } from '../../time';
import { count } from '../../words';
import type { PageProps } from '../Pages';
import { forHowLong, rate, when } from './format';
import { Freshness, Mark, Page, Shown, useFeed } from './parts';
import { RateMeter, type Rates } from './rates';
import { read, type Source, type Sources as Answer } from './rest';
import { many, t } from './words';

const EVERY_MS = 2_000;

type Counter = 'messages' | 'fixes';

const STATES: Readonly<
  Record<string, readonly [shape: LinkShape, tone: 'ok' | 'warn' | 'bad' | 'dim', word: Parameters<typeof t>[0]]>
> = {
  connected: ['live', 'ok', 'sources.connected'],
  listening: ['live', 'ok', 'sources.listening'],
  starting: ['busy', 'warn', 'sources.starting'],
  waiting: ['waiting', 'warn', 'sources.waiting'],
  stopped: ['off', 'bad', 'sources.stopped'],
};

const fixesOf = ({ fixes }: Source): number =>
  fixes.newest + fixes.late + fixes.duplicate + fixes.no_position + fixes.refused;

export function Sources({ hub }: PageProps): JSX.Element {
  const meter = useRef(new RateMeter<Counter>({ messages: 10_000, fixes: 10_000 })).current;
  const feed = useFeed<Answer>(
    hub,
    async (stop) => {
      const answer = await read<Answer>('sources', {}, stop);
      meter.note(
        parseTime(answer.at) ?? Date.now(),
        answer.sources.map((it) => [it.name, { messages: it.messages ?? 0, fixes: fixesOf(it) }]),
      );
      return answer;
    },
    { everyMs: EVERY_MS },
  );
  return (
    <Page title={t('frame.sources')} lead={t('sources.lead')} actions={<Freshness feed={feed} />}>
      <Shown feed={feed}>
        {({ at, sources }) => (
          <ul class="admin-cards">
            {sources.map((it) => (
              <Card key={it.name} it={it} rates={meter.of(it.name)} now={parseTime(at) ?? Date.now()} />
            ))}
          </ul>
        )}
      </Shown>
    </Page>
  );
}

interface CardProps {
  readonly it: Source;
  readonly rates: Rates<Counter>;
  readonly now: number;
}

function Card({ it, rates, now }: CardProps): JSX.Element {
  const [shape, tone, word] = STATES[it.state] ?? ['busy', 'dim', undefined];
  const { newest, late, duplicate, no_position: noPosition, refused } = it.fixes;
  const malformed = Object.entries(it.malformed);
  const fault = it.last_error;
  return (
    <li class="admin-card" data-source={it.name}>
      <div class="admin-card-head">
        <h3>{it.name}</h3>
        <Mark shape={shape} tone={tone} word={word === undefined ? it.state : (t as (word: string) => string)(word)} />
        {it.since !== undefined && (
          <span class="panel-note" title={when(it.since, now)}>
            {t('sources.since', { long: forHowLong(it.since, now) })}
          </span>
        )}
      </div>
      <p class="admin-card-where">
        <span>{[it.type, ...(it.format === undefined ? [] : [it.format])].join(' · ')}</span>
        {it.address !== undefined && <code>{it.address}</code>}
      </p>
      <dl class="admin-figures">
        <Figure name={t('sources.fixRate')} value={rate(rates.fixes)} />
        {it.messages !== undefined && <Figure name={t('sources.messageRate')} value={rate(rates.messages)} />}
        <Figure name={t('sources.restarts')} value={count(it.restarts)} />
      </dl>
      <dl class="admin-counts">
        <Count name={t('sources.newest')} n={newest} />
        <Count name={t('sources.late')} n={late} />
        <Count name={t('sources.duplicate')} n={duplicate} />
        <Count name={t('sources.noPosition')} n={noPosition} />
        <Count name={t('sources.refused')} n={refused} isBad />
        <Count name={t('sources.lost')} n={it.dropped} isBad />
      </dl>
      {malformed.length > 0 && (
        <p class="panel-note">
          {t('sources.malformed')} {malformed.map(([reason, n]) => `${reason} ${count(n)}`).join(', ')}
        </p>
      )}
      {fault !== undefined && (
        <div class="admin-fault">
          <Icon name="warn" />
          <div>
            <p>
              <b>{t('sources.lastError', { long: forHowLong(fault.at, now) })}</b>{' '}
              <span class="panel-note">{when(fault.at, now)}</span>
            </p>
            <p class="admin-said">{fault.message}</p>
            <p class="panel-note">
              <Sentence text={fault.remedy} />
            </p>
            {it.restarts > 0 && <p class="panel-note">{many('sources.again', it.restarts)}</p>}
          </div>
        </div>
      )}
    </li>
  );
}

function Figure({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <b>{value}</b>
      </dd>
    </div>
  );
}

/** A count; one that should be zero stands out when it is not. */
function Count({ name, n, isBad = false }: { readonly name: string; readonly n: number; readonly isBad?: boolean }) {
  return (
    <div data-bad={isBad && n > 0}>
      <dt>{name}</dt>
      <dd>{count(n)}</dd>
    </div>
  );
}
