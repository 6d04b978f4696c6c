import { useSignal, type Signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';

import type { Hub } from '../../hub';
import { Icon } from '../../icons';
import { parseTime } from '../../time';
import { count } from '../../words';
import type { PageProps } from '../Pages';
import { bytes, bytesRate, forHowLong, NOTHING, rate, when } from './format';
import {
  Facts,
  Field,
  Form,
  FormEnd,
  Freshness,
  Modal,
  Outcome,
  Page,
  Search,
  ServerPager,
  Shown,
  Table,
  Trouble,
  useDoing,
  useFeed,
  type Column,
} from './parts';
import { RateMeter, type Rates } from './rates';
import { read, remove, SERVER_ROWS, type Ages, type Connection, type Connections as Answer } from './rest';
import { matches, Trail, type Order } from './rows';
import { many, t } from './words';

const EVERY_MS = 2_000;
const REASON_MAX = 256;

type Counter = 'received' | 'received_bytes' | 'sent' | 'sent_bytes' | 'positions_delivered';

/** Messages that the server writes by itself are counted at the next heartbeat at the latest: they move in steps. */
const newMeter = (): RateMeter<Counter> =>
  new RateMeter<Counter>(
    { received: 10_000, received_bytes: 10_000, sent: 60_000, sent_bytes: 10_000, positions_delivered: 10_000 },
    { sent: 30_000 },
  );

interface Row {
  readonly it: Connection;
  readonly rates: Rates<Counter>;
  readonly isOwn: boolean;
}

const ages = (it: Ages | undefined): string =>
  it === undefined ? NOTHING : t('connections.ages', { p50: it.p50, p99: it.p99 });

export function Connections({ hub }: PageProps): JSX.Element {
  const trail = useSignal(new Trail());
  const search = useSignal('');
  const page = useSignal(0);
  const order = useSignal<Order>({ by: 'since', descending: false });
  const opened = useSignal<string | null>(null);
  const closing = useSignal<Connection | null>(null);
  const outcome = useSignal('');
  const meter = useRef(newMeter()).current;
  const { after } = trail.value;
  const feed = useFeed<Answer>(
    hub,
    async (stop) => {
      const answer = await read<Answer>('connections', { limit: SERVER_ROWS, after: trail.peek().after }, stop);
      meter.note(
        parseTime(answer.at) ?? Date.now(),
        answer.connections.map((it) => [it.client_id, it]),
      );
      return answer;
    },
    { key: after ?? '', everyMs: EVERY_MS },
  );
  const own = hub.session.value?.client_id;
  return (
    <Page title={t('frame.connections')} lead={t('connections.lead')} actions={<Freshness feed={feed} />}>
      <Outcome text={outcome} />
      <Shown feed={feed}>
        {({ total, at, connections, next }) => {
          const now = parseTime(at) ?? Date.now();
          const rows = connections
            .filter((it) =>
              matches(search.value, [
                it.user_id,
                it.address,
                it.user_agent,
                it.client_id,
                it.endpoint,
                ...it.roles,
                ...it.rooms,
              ]),
            )
            .map((it): Row => ({ it, rates: meter.of(it.client_id), isOwn: it.client_id === own }));
          return (
            <>
              <div class="admin-bar">
                <Search label={t('connections.search')} text={search} />
                <span class="panel-note">
                  {rows.length === total
                    ? many('connections.all', total)
                    : many('connections.some', total, { shown: rows.length })}
                </span>
              </div>
              <Table
                label={t('frame.connections')}
                columns={columnsOf(now, opened, closing)}
                rows={rows}
                idOf={({ it }) => it.client_id}
                order={order}
                page={page}
                empty={t('connections.none')}
              />
              <ServerPager
                trail={trail}
                next={next}
                text={t('connections.part', { part: trail.value.number, limit: SERVER_ROWS })}
                moved={() => {
                  page.value = 0;
                }}
              />
            </>
          );
        }}
      </Shown>
      {opened.value !== null && (
        <Details
          key={opened.value}
          hub={hub}
          id={opened.value}
          own={own}
          ask={(it) => {
            opened.value = null;
            closing.value = it;
          }}
          close={() => {
            opened.value = null;
          }}
        />
      )}
      {closing.value !== null && (
        <Closing
          it={closing.value}
          isOwn={closing.value.client_id === own}
          close={() => {
            closing.value = null;
          }}
          done={(text) => {
            outcome.value = text;
            closing.value = null;
            void feed.reload();
          }}
        />
      )}
    </Page>
  );
}

function columnsOf(
  now: number,
  opened: Signal<string | null>,
  closing: Signal<Connection | null>,
): readonly Column<Row>[] {
  return [
    {
      key: 'user',
      title: t('connections.user'),
      sort: ({ it }) => it.user_id,
      cell: ({ it, isOwn }) => (
        <div class="admin-two">
          <span class="admin-line">
            <button
              type="button"
              class="admin-open"
              onClick={() => {
                opened.value = it.client_id;
              }}
            >
              {it.user_id ?? t('connections.nobody')}
            </button>
            {isOwn && <span class="admin-chip">{t('connections.own')}</span>}
          </span>
          <span>{it.roles.join(', ')}</span>
        </div>
      ),
    },
    {
      key: 'address',
      title: t('connections.address'),
      sort: ({ it }) => it.address,
      cell: ({ it }) => (
        <div class="admin-two">
          <span>{it.address ?? NOTHING}</span>
          <span class="admin-cut" title={it.user_agent}>
            {it.user_agent ?? t('connections.noAgent')}
          </span>
        </div>
      ),
    },
    {
      key: 'since',
      title: t('connections.since'),
      sort: ({ it }) => parseTime(it.since),
      cell: ({ it }) => <span title={when(it.since, now)}>{forHowLong(it.since, now)}</span>,
    },
    {
      key: 'rooms',
      title: t('connections.rooms'),
      sort: ({ it }) => it.rooms.length + it.subscriptions.length,
      cell: ({ it }) => (
        <div class="admin-two">
          <span class="admin-cut" title={it.rooms.join(', ')}>
            {it.rooms.length === 0 ? t('connections.noRoom') : it.rooms.join(', ')}
          </span>
          <span>{many('connections.views', it.subscriptions.length)}</span>
        </div>
      ),
    },
    {
      key: 'in',
      title: t('connections.in'),
      note: t('connections.inNote'),
      isNumber: true,
      sort: ({ rates }) => rates.received_bytes,
      cell: ({ rates }) => <Flow messages={rates.received} amount={rates.received_bytes} />,
    },
    {
      key: 'out',
      title: t('connections.out'),
      note: t('connections.outNote'),
      isNumber: true,
      sort: ({ rates }) => rates.sent_bytes,
      cell: ({ rates }) => <Flow messages={rates.sent} amount={rates.sent_bytes} />,
    },
    {
      key: 'dropped',
      title: t('connections.dropped'),
      note: t('connections.droppedNote'),
      isNumber: true,
      sort: ({ it }) => it.positions_dropped,
      cell: ({ it }) => count(it.positions_dropped),
    },
    {
      key: 'age',
      title: t('connections.age'),
      note: t('connections.ageNote'),
      isNumber: true,
      sort: ({ it }) => it.age_ms?.p99,
      cell: ({ it }) => ages(it.age_ms),
    },
    {
      key: 'queued',
      title: t('connections.queued'),
      note: t('connections.queuedNote'),
      isNumber: true,
      sort: ({ it }) => it.queued_bytes,
      cell: ({ it }) => bytes(it.queued_bytes),
    },
    {
      key: 'act',
      title: t('connections.act'),
      cell: ({ it }) => (
        <button
          type="button"
          class="small"
          aria-label={t('connections.closeOf', { user: it.user_id ?? t('connections.nobody') })}
          onClick={() => {
            closing.value = it;
          }}
        >
          {t('connections.close')}
        </button>
      ),
    },
  ];
}

/** Messages and bytes a second. */
function Flow({ messages, amount }: { readonly messages: number | null; readonly amount: number | null }): JSX.Element {
  return (
    <div class="admin-two">
      <span>{messages === null ? NOTHING : t('unit.perSecond', { amount: rate(messages) })}</span>
      <span>{amount === null ? '' : bytesRate(amount)}</span>
    </div>
  );
}

interface DetailsProps {
  readonly hub: Hub;
  readonly id: string;
  readonly own: string | undefined;
  readonly ask: (it: Connection) => void;
  readonly close: () => void;
}

/** One connection. From the first look on the server measures how old positions are that it sends there. */
function Details({ hub, id, own, ask, close }: DetailsProps): JSX.Element {
  const meter = useRef(newMeter()).current;
  const feed = useFeed<Connection>(
    hub,
    async (stop) => {
      const it = await read<Connection>(`connections/${encodeURIComponent(id)}`, {}, stop);
      meter.note(performance.now(), [[id, it]]);
      return it;
    },
    { everyMs: EVERY_MS },
  );
  const isGone = feed.problem.value?.status === 404;
  const it = feed.data.value;
  const rates = meter.of(id);
  const now = hub.serverNow();
  return (
    <Modal title={t('connections.details', { user: it?.user_id ?? t('connections.nobody') })} close={close}>
      {isGone && <p class="admin-note">{t('connections.gone')}</p>}
      {!isGone && feed.problem.value !== null && (
        <Trouble problem={feed.problem.value} retry={() => void feed.reload()} />
      )}
      {it === null && feed.problem.value === null && <p class="admin-empty">{t('frame.loading')}</p>}
      {it !== null && (
        <>
          <Facts
            rows={[
              [t('connections.id'), <code key="id">{it.client_id}</code>],
              [t('connections.roles'), it.roles.join(', ') || NOTHING],
              [t('connections.address'), it.address ?? NOTHING],
              [t('connections.agent'), it.user_agent ?? t('connections.noAgent')],
              [t('connections.endpoint'), <code key="endpoint">{it.endpoint}</code>],
              [
                t('connections.protocol'),
                `${it.subprotocol ?? t('connections.noProtocol')}${it.is_compressed ? `, ${t('connections.compressed')}` : ''}`,
              ],
              [
                t('connections.since'),
                t('connections.sinceBoth', { time: when(it.since, now), long: forHowLong(it.since, now) }),
              ],
              [t('connections.rooms'), it.rooms.join(', ') || t('connections.noRoom')],
            ]}
          />
          <h4>{t('connections.traffic')}</h4>
          <Facts
            rows={[
              [t('connections.in'), traffic(it.received, it.received_bytes, rates.received_bytes)],
              [t('connections.out'), traffic(it.sent, it.sent_bytes, rates.sent_bytes)],
              [
                t('connections.positions'),
                t('connections.positionsAll', {
                  delivered: it.positions_delivered,
                  dropped: it.positions_dropped,
                  rate: rate(rates.positions_delivered),
                }),
              ],
              [t('connections.age'), it.age_ms === undefined ? t('connections.ageSoon') : ages(it.age_ms)],
              [t('connections.added'), ages(it.added_age_ms)],
              [t('connections.queued'), bytes(it.queued_bytes)],
            ]}
          />
          {it.subscriptions.length > 0 && (
            <>
              <h4>{t('connections.viewsTitle')}</h4>
              <ul class="admin-list">
                {it.subscriptions.map((one) => (
                  <li key={one.subscription}>
                    <code>{one.subscription}</code>{' '}
                    {[
                      one.devices === undefined ? one.lane : many('connections.devices', one.devices),
                      one.mode,
                      ...(one.max_rate_hz === undefined ? [] : [t('connections.hertz', { n: one.max_rate_hz })]),
                      ...(one.is_behind ? [t('connections.behind')] : []),
                    ].join(', ')}
                  </li>
                ))}
              </ul>
            </>
          )}
          {!isGone && (
            <div class="admin-form-end">
              <button
                type="button"
                class="danger"
                onClick={() => {
                  ask(it);
                }}
              >
                <Icon name="out" /> {t('connections.closeThis')}
              </button>
              {it.client_id === own && <span class="admin-chip">{t('connections.own')}</span>}
            </div>
          )}
        </>
      )}
    </Modal>
  );
}

const traffic = (messages: number, amount: number, perSecond: number | null): string =>
  t('connections.trafficAll', { messages, bytes: bytes(amount), rate: bytesRate(perSecond) });

interface ClosingProps {
  readonly it: Connection;
  readonly isOwn: boolean;
  readonly close: () => void;
  readonly done: (outcome: string) => void;
}

/** Asks before a connection is closed, and why. */
function Closing({ it, isOwn, close, done }: ClosingProps): JSX.Element {
  const reason = useSignal('');
  const doing = useDoing();
  const user = it.user_id ?? t('connections.nobody');
  const tooLong = new TextEncoder().encode(reason.value.trim()).length > REASON_MAX;
  const submit = async (): Promise<void> => {
    await doing.run(async () => {
      try {
        await remove(`connections/${encodeURIComponent(it.client_id)}`, { reason: reason.value.trim() });
      } catch (error) {
        if ((error as { status?: unknown }).status !== 404) throw error;
        done(t('connections.goneAlready', { user }));
        return;
      }
      done(t('connections.closed', { user, address: it.address ?? NOTHING }));
    });
  };
  return (
    <Modal title={t('connections.closeTitle', { user })} close={close}>
      <Form submit={submit}>
        <p>{isOwn ? t('connections.closeOwn') : t('connections.closeLead', { address: it.address ?? NOTHING })}</p>
        <Field
          label={t('connections.reason')}
          value={reason.value}
          set={(value) => {
            reason.value = value;
          }}
          maxLength={REASON_MAX}
          isWrong={tooLong}
          note={t('connections.reasonNote')}
        />
        <FormEnd doing={doing} word={t('connections.closeYes')} tone="danger" close={close} disabled={tooLong} />
      </Form>
    </Modal>
  );
}
