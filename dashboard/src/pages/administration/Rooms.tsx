import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';

import { count } from '../../words';
import type { PageProps } from '../Pages';
import { bytes, forHowLong, NOTHING, when } from './format';
import { Facts, Freshness, Modal, Page, Search, ServerPager, Shown, Table, useFeed, type Column } from './parts';
import { read, type Room, type Rooms as Answer } from './rest';
import { matches, Trail, type Order } from './rows';
import { many, t } from './words';

/** As many as the server gives at a time. */
const LIMIT = 100;
const EVERY_MS = 5_000;

export function Rooms({ hub }: PageProps): JSX.Element {
  const trail = useSignal(new Trail());
  const search = useSignal('');
  const order = useSignal<Order>({ by: 'room', descending: false });
  const opened = useSignal<string | null>(null);
  const feed = useFeed<Answer>(
    hub,
    (stop) => read<Answer>('rooms', { limit: LIMIT, after: trail.peek().after }, stop),
    { key: trail.value.after ?? '', everyMs: EVERY_MS },
  );
  const columns: readonly Column<Room>[] = [
    {
      key: 'room',
      title: t('rooms.room'),
      sort: ({ room }) => room,
      cell: ({ room }) => (
        <button
          type="button"
          class="admin-open"
          onClick={() => {
            opened.value = room;
          }}
        >
          {room}
        </button>
      ),
    },
    {
      key: 'members',
      title: t('rooms.members'),
      isNumber: true,
      sort: (it) => it.member_count,
      cell: (it) => count(it.member_count),
    },
    {
      key: 'seq',
      title: t('rooms.seq'),
      note: t('rooms.seqNote'),
      isNumber: true,
      sort: ({ seq }) => seq,
      cell: ({ seq }) => count(seq),
    },
    {
      key: 'kept',
      title: t('rooms.kept'),
      note: t('rooms.keptNote'),
      isNumber: true,
      sort: ({ kept }) => kept.messages,
      cell: ({ kept }) => t('rooms.keptAll', { messages: kept.messages, bytes: bytes(kept.bytes) }),
    },
    {
      key: 'last',
      title: t('rooms.last'),
      sort: ({ kept }) => kept.last_at,
      cell: ({ kept }) => (kept.last_at === undefined ? t('rooms.never') : when(kept.last_at, hub.serverNow())),
    },
  ];
  return (
    <Page title={t('frame.rooms')} lead={t('rooms.lead')} actions={<Freshness feed={feed} />}>
      <Shown feed={feed}>
        {({ total, rooms, next }) => {
          const open = rooms.find(({ room }) => room === opened.value);
          return (
            <>
              <div class="admin-bar">
                <Search label={t('rooms.search')} text={search} />
                <span class="panel-note">{many('rooms.all', total)}</span>
              </div>
              <Table
                label={t('frame.rooms')}
                columns={columns}
                rows={rooms.filter(({ room, members }) =>
                  matches(search.value, [room, ...members.flatMap((it) => [it.user_id, it.client_id])]),
                )}
                idOf={({ room }) => room}
                order={order}
                empty={search.value === '' ? t('rooms.none') : t('table.noMatch')}
              />
              <ServerPager
                trail={trail}
                next={next}
                text={t('rooms.part', { part: trail.value.number, limit: LIMIT })}
              />
              {open !== undefined && (
                <Members
                  it={open}
                  now={hub.serverNow()}
                  close={() => {
                    opened.value = null;
                  }}
                />
              )}
            </>
          );
        }}
      </Shown>
    </Page>
  );
}

function Members(props: { readonly it: Room; readonly now: number; readonly close: () => void }): JSX.Element {
  const { it, now, close } = props;
  const more = it.member_count - it.members.length;
  return (
    <Modal title={t('rooms.details', { room: it.room })} close={close}>
      <Facts
        rows={[
          [t('rooms.epoch'), <code key="epoch">{it.epoch}</code>],
          [t('rooms.seq'), count(it.seq)],
          [
            t('rooms.kept'),
            it.kept.from_seq === undefined
              ? t('rooms.keptNone')
              : t('rooms.keptFrom', {
                  messages: it.kept.messages,
                  bytes: bytes(it.kept.bytes),
                  from: it.kept.from_seq,
                }),
          ],
        ]}
      />
      <h4>{t('rooms.members')}</h4>
      <Table
        label={t('rooms.members')}
        columns={[
          { key: 'user', title: t('rooms.user'), cell: (one) => one.user_id ?? t('connections.nobody') },
          { key: 'id', title: t('rooms.connection'), cell: (one) => <code>{one.client_id}</code> },
          { key: 'since', title: t('rooms.since'), cell: (one) => forHowLong(one.since, now) || NOTHING },
        ]}
        rows={it.members}
        idOf={(one) => one.client_id}
        empty={t('rooms.nobody')}
        size={100}
      />
      {more > 0 && <p class="panel-note">{many('rooms.more', more)}</p>}
    </Modal>
  );
}
