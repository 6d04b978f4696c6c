import { useSignal, type Signal } from '@preact/signals';
import type { JSX } from 'preact';

import type { Hub } from '../../hub';
import { Icon } from '../../icons';
import { address } from '../../session';
import { CopyButton } from '../../shell/CopyButton';
import { parseTime } from '../../time';
import { when } from './format';
import {
  FRESH_TAKING,
  FRESH_WISH,
  lackOf,
  mintBody,
  permissionsOf,
  UNITS,
  UNIT_SECS,
  type Taking,
  type Unit,
  type Wish,
} from './minting';
import {
  Field,
  Form,
  FormEnd,
  Mark,
  Modal,
  Reload,
  Search,
  ServerPager,
  Shown,
  Table,
  useDoing,
  useFeed,
  type Column,
} from './parts';
import { post, read, SERVER_ROWS, type Offer, type Token, type TokenMade, type Tokens } from './rest';
import { matches, Trail, type Order } from './rows';
import { many, t } from './words';

interface MintedTokensProps {
  readonly hub: Hub;
  readonly changes: Signal<number>;
  /** Where a token is put that shall be revoked; absent for those who may not. */
  readonly taking: Signal<Taking | null> | undefined;
}

/** The tokens that the server made, and the form that makes one. */
export function MintedTokens({ hub, changes, taking }: MintedTokensProps): JSX.Element {
  const trail = useSignal(new Trail());
  const search = useSignal('');
  const order = useSignal<Order>({ by: 'made', descending: true });
  const minting = useSignal(false);
  const { after } = trail.value;
  const feed = useFeed<Tokens>(
    hub,
    (stop) => read<Tokens>('tokens', { limit: SERVER_ROWS, after: trail.peek().after }, stop),
    { key: `${after ?? ''} ${String(changes.value)}` },
  );
  const offer = feed.data.value?.offer;
  return (
    <section class="admin-section" aria-label={t('tokens.minted')}>
      <header class="admin-subhead">
        <h3>{t('tokens.minted')}</h3>
        <Reload feed={feed} />
        {offer !== undefined && (
          <button
            type="button"
            class="primary"
            onClick={() => {
              minting.value = true;
            }}
          >
            <Icon name="plus" /> {t('mint.open')}
          </button>
        )}
      </header>
      <Shown feed={feed}>
        {({ total, known_since: knownSince, tokens, next }) => (
          <>
            {offer === undefined && <p class="admin-note">{t('mint.noKey')}</p>}
            <div class="admin-bar">
              <Search label={t('tokens.search')} text={search} />
              <span class="panel-note">
                {many('tokens.all', total)} {t('tokens.knownSince', { time: when(knownSince, hub.serverNow()) })}
              </span>
            </div>
            <Table
              label={t('tokens.minted')}
              columns={tokenColumns(hub, taking)}
              rows={tokens.filter((it) =>
                matches(search.value, [
                  it.subject,
                  it.token_id,
                  it.made_by,
                  ...it.roles,
                  ...(it.devices ?? []),
                  ...(it.rooms ?? []),
                ]),
              )}
              idOf={(it) => it.token_id}
              order={order}
              empty={search.value === '' ? t('tokens.none') : t('table.noMatch')}
            />
            <ServerPager
              trail={trail}
              next={next}
              text={t('tokens.part', { part: trail.value.number, limit: SERVER_ROWS })}
            />
          </>
        )}
      </Shown>
      {minting.value && offer !== undefined && (
        <Mint
          hub={hub}
          offer={offer}
          made={() => void feed.reload()}
          close={() => {
            minting.value = false;
          }}
        />
      )}
    </section>
  );
}

function tokenColumns(hub: Hub, taking: Signal<Taking | null> | undefined): readonly Column<Token>[] {
  const now = hub.serverNow();
  const time = (text: string): JSX.Element => <span class="admin-nowrap">{when(text, now)}</span>;
  return [
    {
      key: 'subject',
      title: t('tokens.subject'),
      sort: (it) => it.subject,
      cell: (it) => (
        <div class="admin-two">
          <b>{it.subject}</b>
          <code class="admin-cut" title={it.token_id}>
            {it.token_id}
          </code>
        </div>
      ),
    },
    { key: 'roles', title: t('tokens.roles'), sort: (it) => it.roles.join(), cell: (it) => it.roles.join(', ') },
    {
      key: 'patterns',
      title: t('tokens.patterns'),
      cell: (it) => (
        <div class="admin-two is-even">
          <span>{t('tokens.devices', { patterns: it.devices?.join(' ') ?? t('tokens.allOfThem') })}</span>
          <span>{t('tokens.rooms', { patterns: it.rooms?.join(' ') ?? t('tokens.allOfThem') })}</span>
        </div>
      ),
    },
    {
      key: 'made',
      title: t('tokens.made'),
      sort: (it) => parseTime(it.made_at),
      cell: (it) => (
        <div class="admin-two">
          {time(it.made_at)}
          <span>{t('tokens.by', { user: it.made_by })}</span>
        </div>
      ),
    },
    {
      key: 'expires',
      title: t('tokens.expires'),
      sort: (it) => parseTime(it.expires_at),
      cell: (it) => time(it.expires_at),
    },
    {
      key: 'state',
      title: t('tokens.state'),
      sort: (it) => stateOf(it, now),
      cell: (it) => {
        const state = stateOf(it, now);
        if (state === 'valid') return <Mark shape="live" tone="ok" word={t('tokens.valid')} />;
        return state === 'revoked' ? (
          <Mark shape="off" tone="bad" word={t('tokens.revoked')} />
        ) : (
          <Mark shape="waiting" tone="dim" word={t('tokens.expired')} />
        );
      },
    },
    ...(taking === undefined
      ? []
      : [
          {
            key: 'act',
            title: t('connections.act'),
            cell: (it: Token) =>
              stateOf(it, now) === 'valid' && (
                <button
                  type="button"
                  class="small"
                  aria-label={t('revoke.of', { subject: it.subject })}
                  onClick={() => {
                    taking.value = { ...FRESH_TAKING, id: it.token_id, subject: it.subject };
                  }}
                >
                  {t('revoke.short')}
                </button>
              ),
          },
        ]),
  ];
}

const stateOf = (it: Token, now: number): 'valid' | 'revoked' | 'expired' => {
  if (it.is_revoked) return 'revoked';
  return (parseTime(it.expires_at) ?? Infinity) < now ? 'expired' : 'valid';
};

interface MintProps {
  readonly hub: Hub;
  readonly offer: Offer;
  readonly made: () => void;
  readonly close: () => void;
}

/** Makes a token, and shows it: once. */
function Mint({ hub, offer, made, close }: MintProps): JSX.Element {
  const wish = useSignal<Wish>(FRESH_WISH);
  const wasTried = useSignal(false);
  const result = useSignal<TokenMade | null>(null);
  const doing = useDoing();
  const lack = lackOf(wish.value, offer);
  const set = (change: Partial<Wish>): void => {
    wish.value = { ...wish.value, ...change };
  };
  const submit = async (): Promise<void> => {
    wasTried.value = true;
    if (lack !== undefined) return;
    await doing.run(async () => {
      result.value = await post<TokenMade>('tokens', mintBody(wish.value));
      made();
    });
  };
  if (result.value !== null) {
    return <Made hub={hub} it={result.value} subject={wish.value.subject.trim()} close={close} />;
  }
  const { subject, roles, amount, unit, devices, rooms } = wish.value;
  const allowed = permissionsOf(roles, offer);
  const most = { n: Math.floor(offer.ttl_secs_max / UNIT_SECS[unit]), unit: t(`mint.${unit}`) };
  const isLacking = (name: typeof lack): boolean => wasTried.value && lack === name;
  return (
    <Modal title={t('mint.title')} close={close}>
      <Form submit={submit}>
        <p>{t('mint.lead')}</p>
        <Field
          label={t('mint.subject')}
          value={subject}
          set={(value) => {
            set({ subject: value });
          }}
          placeholder="hall-display"
          isWrong={isLacking('subject')}
        />
        <fieldset>
          <legend>{t('mint.roles')}</legend>
          <div class="admin-checks">
            {offer.roles.map(({ name }) => (
              <label key={name} class="check">
                <input
                  type="checkbox"
                  checked={roles.includes(name)}
                  onChange={(event) => {
                    const others = roles.filter((one) => one !== name);
                    set({ roles: event.currentTarget.checked ? [...others, name] : others });
                  }}
                />
                {name}
              </label>
            ))}
          </div>
          <p class="panel-note">
            {allowed.length === 0 ? t('mint.noRole') : t('mint.allows', { permissions: allowed.join(', ') })}
          </p>
        </fieldset>
        <div class="admin-pair">
          <Field
            label={t('mint.ttl')}
            value={amount}
            set={(value) => {
              set({ amount: value });
            }}
            isWrong={isLacking('ttl') || isLacking('ttlMost')}
          />
          <label>
            {t('mint.unit')}
            <select
              value={unit}
              onChange={(event) => {
                set({ unit: event.currentTarget.value as Unit });
              }}
            >
              {UNITS.map((one) => (
                <option key={one} value={one}>
                  {t(`mint.${one}`)}
                </option>
              ))}
            </select>
          </label>
        </div>
        <Field
          label={t('mint.devices')}
          value={devices}
          set={(value) => {
            set({ devices: value });
          }}
          placeholder="tag-* cart-7"
        />
        <Field
          label={t('mint.rooms')}
          value={rooms}
          set={(value) => {
            set({ rooms: value });
          }}
          placeholder="uwb"
          note={t('mint.patternsNote')}
        />
        {wasTried.value && lack !== undefined && (
          <p class="inline-error" role="alert">
            {lack === 'ttlMost' ? t('mint.lackMost', most) : t(`mint.lack.${lack}`)}
          </p>
        )}
        <FormEnd doing={doing} word={t('mint.make')} tone="primary" close={close} />
      </Form>
    </Modal>
  );
}

interface MadeProps {
  readonly hub: Hub;
  readonly it: TokenMade;
  readonly subject: string;
  readonly close: () => void;
}

function Made({ hub, it, subject, close }: MadeProps): JSX.Element {
  const link = `${address('.').href}#token=${it.token}`;
  return (
    <Modal title={t('mint.made', { subject })} close={close}>
      <div class="admin-form">
        <p class="admin-warning">
          <Icon name="warn" />
          <span>{t('mint.once')}</span>
        </p>
        <p class="command">
          <code class="admin-token" tabIndex={0} role="textbox" aria-readonly="true" aria-label={t('mint.token')}>
            {it.token}
          </code>
        </p>
        <div class="admin-form-end">
          <CopyButton text={() => it.token} label={t('mint.copy')} word={t('mint.copy')} />
          <CopyButton text={() => link} label={t('mint.copyLink')} word={t('mint.copyLink')} />
        </div>
        <p class="panel-note">{t('mint.madeNote', { id: it.token_id, time: when(it.expires_at, hub.serverNow()) })}</p>
        <div class="admin-form-end">
          <button type="button" class="primary" onClick={close}>
            {t('mint.done')}
          </button>
        </div>
      </div>
    </Modal>
  );
}
