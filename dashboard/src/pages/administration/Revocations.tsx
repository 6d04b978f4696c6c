import { useSignal, type Signal } from '@preact/signals';
import type { JSX } from 'preact';

import type { Hub } from '../../hub';
import { Icon } from '../../icons';
import { parseTime } from '../../time';
import { when } from './format';
import { revokeBody, type Taking, type Which } from './minting';
import {
  Field,
  Form,
  FormEnd,
  Modal,
  Reload,
  ServerPager,
  Shown,
  Table,
  Trouble,
  useDoing,
  useFeed,
  type Column,
} from './parts';
import {
  post,
  read,
  remove,
  SERVER_ROWS,
  type Revocation,
  type RevocationMade,
  type Revocations as Answer,
} from './rest';
import { Trail, type Order } from './rows';
import { t } from './words';

interface RevokeProps {
  readonly hub: Hub;
  readonly taking: Taking;
  readonly close: () => void;
  readonly done: (made: RevocationMade) => void;
}

const WHICH: readonly Which[] = ['token', 'subject', 'everybody'];

/** Asks which tokens are not good any more. */
export function Revoke({ hub, taking, close, done }: RevokeProps): JSX.Element {
  const wanted = useSignal(taking);
  const wasTried = useSignal(false);
  const doing = useDoing();
  const set = (change: Partial<Taking>): void => {
    wanted.value = { ...wanted.value, ...change };
  };
  const { which, id, subject, onlyOld, reason } = wanted.value;
  const submit = async (): Promise<void> => {
    wasTried.value = true;
    const body = revokeBody(wanted.value, hub.serverNow());
    if (body === undefined) return;
    await doing.run(async () => {
      done(await post<RevocationMade>('revocations', body));
    });
  };
  const isOwn = which === 'everybody' || (which === 'subject' && subject.trim() === hub.session.value?.user_id);
  return (
    <Modal title={t('revoke.title')} close={close}>
      <Form submit={submit}>
        <p>{t('revoke.lead')}</p>
        <fieldset>
          <legend>{t('revoke.which')}</legend>
          <div class="admin-checks is-column">
            {WHICH.map((one) => (
              <label key={one} class="check">
                <input
                  type="radio"
                  name="which"
                  checked={which === one}
                  onChange={() => {
                    set({ which: one });
                  }}
                />
                {t(`revoke.which.${one}`)}
              </label>
            ))}
          </div>
        </fieldset>
        {which === 'token' && (
          <Field
            label={t('revoke.id')}
            value={id}
            set={(value) => {
              set({ id: value });
            }}
            isWrong={wasTried.value && id.trim() === ''}
          />
        )}
        {which === 'subject' && (
          <>
            <Field
              label={t('revoke.subject')}
              value={subject}
              set={(value) => {
                set({ subject: value });
              }}
              isWrong={wasTried.value && subject.trim() === ''}
            />
            <label class="check">
              <input
                type="checkbox"
                checked={!onlyOld}
                onChange={(event) => {
                  set({ onlyOld: !event.currentTarget.checked });
                }}
              />
              {t('revoke.ban')}
            </label>
          </>
        )}
        <p class="panel-note">{t(`revoke.note.${which === 'subject' && !onlyOld ? 'ban' : which}`)}</p>
        <Field
          label={t('connections.reason')}
          value={reason}
          set={(value) => {
            set({ reason: value });
          }}
          maxLength={256}
        />
        {isOwn && (
          <p class="admin-warning">
            <Icon name="warn" />
            <span>{t('revoke.own')}</span>
          </p>
        )}
        {wasTried.value && revokeBody(wanted.value, 0) === undefined && (
          <p class="inline-error" role="alert">
            {t('revoke.lack')}
          </p>
        )}
        <FormEnd doing={doing} word={t('revoke.yes')} tone="danger" close={close} />
      </Form>
    </Modal>
  );
}

interface RevocationsProps {
  readonly hub: Hub;
  readonly changes: Signal<number>;
  readonly outcome: Signal<string>;
}

/** What was revoked, and may be taken back. */
export function Revocations({ hub, changes, outcome }: RevocationsProps): JSX.Element {
  const trail = useSignal(new Trail());
  const order = useSignal<Order>({ by: 'made', descending: true });
  const back = useSignal<Revocation | null>(null);
  const doing = useDoing();
  const feed = useFeed<Answer>(
    hub,
    (stop) => read<Answer>('revocations', { limit: SERVER_ROWS, after: trail.peek().after }, stop),
    { key: `${trail.value.after ?? ''} ${String(changes.value)}` },
  );
  const now = hub.serverNow();
  const columns: readonly Column<Revocation>[] = [
    { key: 'what', title: t('revoke.what'), sort: (it) => whatOf(it, now), cell: (it) => whatOf(it, now) },
    {
      key: 'reason',
      title: t('revoke.reason'),
      sort: (it) => it.reason,
      cell: (it) => it.reason || t('revoke.noReason'),
    },
    {
      key: 'made',
      title: t('tokens.made'),
      sort: (it) => parseTime(it.made_at),
      cell: (it) => (
        <div class="admin-two">
          <span class="admin-nowrap">{when(it.made_at, now)}</span>
          <span>{t('tokens.by', { user: it.made_by })}</span>
        </div>
      ),
    },
    {
      key: 'act',
      title: t('connections.act'),
      cell: (it) => (
        <button
          type="button"
          class="small"
          aria-label={t('revoke.backOf', { what: whatOf(it, now) })}
          onClick={() => {
            back.value = it;
          }}
        >
          {t('revoke.back')}
        </button>
      ),
    },
  ];
  const takeBack = async (it: Revocation): Promise<void> => {
    await doing.run(async () => {
      await remove(`revocations/${encodeURIComponent(it.id)}`);
      outcome.value = t('revoke.tookBack', { what: whatOf(it, now) });
      back.value = null;
      changes.value += 1;
    });
  };
  const asked = back.value;
  return (
    <section class="admin-section" aria-label={t('revoke.list')}>
      <header class="admin-subhead">
        <h3>{t('revoke.list')}</h3>
        <Reload feed={feed} />
      </header>
      <Shown feed={feed}>
        {({ revocations, next }) => (
          <>
            <Table
              label={t('revoke.list')}
              columns={columns}
              rows={revocations}
              idOf={(it) => it.id}
              order={order}
              empty={t('revoke.none')}
            />
            <ServerPager
              trail={trail}
              next={next}
              text={t('tokens.part', { part: trail.value.number, limit: SERVER_ROWS })}
            />
          </>
        )}
      </Shown>
      {asked !== null && (
        <Modal
          title={t('revoke.back')}
          close={() => {
            back.value = null;
          }}
        >
          <div class="admin-form">
            <p>{t('revoke.backLead', { what: whatOf(asked, now) })}</p>
            {doing.problem.value !== null && <Trouble problem={doing.problem.value} />}
            <div class="admin-form-end">
              <button type="button" class="primary" disabled={doing.busy.value} onClick={() => void takeBack(asked)}>
                {t('revoke.backYes')}
              </button>
              <button
                type="button"
                onClick={() => {
                  back.value = null;
                }}
              >
                {t('frame.cancel')}
              </button>
            </div>
          </div>
        </Modal>
      )}
    </section>
  );
}

/** Which tokens a revocation is about. */
function whatOf(it: Revocation, now: number): string {
  const before = it.issued_before === undefined ? '' : when(it.issued_before, now);
  const what =
    it.jti !== undefined
      ? t('revoke.whatToken', { id: it.jti })
      : it.subject === undefined
        ? t('revoke.whatEverybody', { time: before })
        : before === ''
          ? t('revoke.whatBan', { subject: it.subject })
          : t('revoke.whatSubject', { subject: it.subject, time: before });
  return it.issuer === undefined ? what : t('revoke.whatIssuer', { what, issuer: it.issuer });
}
