import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';

import type { Hub } from '../hub';
import { Icon, LinkIcon, Logo } from '../icons';
import { Nav } from '../pages/Nav';
import { secondsLeft } from '../time';
import type { View } from '../view';
import { count, t } from '../words';
import { later } from '../later';
import { LINK, newest, roundTrip } from './link';
import './shell.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
}

/** How the page looks and speaks. */
export const settings = later(({ Settings }) => Settings);
/** What is known of the link. */
export const linkDetails = later(({ LinkDetails }) => LinkDetails);

export function Header({ hub, view }: Props): JSX.Element {
  const session = hub.session.value;
  const open = hub.gate.value === 'open';
  return (
    <header class="bar">
      <div class="brand">
        <Logo />
        <h1>ANITA</h1>
        {hub.site.value.name !== '' && <span class="site">{hub.site.value.name}</span>}
      </div>
      {open && !view.kiosk && <Nav view={view} permissions={session?.permissions ?? []} />}
      {open && <Link hub={hub} view={view} />}
      {!view.kiosk && (
        <div class="bar-end">
          {open && session !== null && (
            <span class="user">
              <b>{session.user_id}</b>
              <span class="roles">{session.roles.join(', ')}</span>
            </span>
          )}
          <SettingsButton view={view} />
          <button
            type="button"
            class="quiet square"
            aria-label={t('bar.help')}
            title={`${t('bar.help')} (?)`}
            onClick={() => {
              view.help.value = true;
            }}
          >
            <Icon name="help" />
          </button>
          {open && (
            <button
              type="button"
              class="quiet"
              onClick={() => {
                view.select(null);
                void hub.signOut();
              }}
            >
              <Icon name="out" />
              <span class="word">{t('bar.signOut')}</span>
            </button>
          )}
        </div>
      )}
    </header>
  );
}

function Link({ hub, view }: Props): JSX.Element {
  const button = useRef<HTMLButtonElement>(null);
  const details = view.linkDetails.value;
  const state = hub.link.value;
  const { word, shape } = LINK[state];
  const retryAt = hub.retryAt.value;
  const now = (
    <>
      <LinkIcon shape={shape} />
      <b>{t(word)}</b>
      {state === 'waiting' && retryAt !== null && (
        <span class="link-countdown" aria-hidden="true">
          {t('link.countdown', { n: secondsLeft(retryAt, hub.now.value) })}
        </span>
      )}
    </>
  );
  return (
    <div class="link" data-state={state}>
      <span class="link-now" role="status">
        {view.kiosk ? (
          <span class="link-state">{now}</span>
        ) : (
          <button
            ref={button}
            type="button"
            class="link-state"
            title={t('link.more')}
            aria-expanded={details}
            onClick={() => {
              view.linkDetails.value = !details;
            }}
          >
            {now}
          </button>
        )}
      </span>
      {details && <linkDetails.Part hub={hub} view={view} button={button} />}
      {(state === 'waiting' || state === 'failed' || state === 'offline' || state === 'closed') && (
        <button
          type="button"
          class="small"
          onClick={() => {
            hub.retryNow();
          }}
        >
          {t('link.tryNow')}
        </button>
      )}
      <dl class="link-facts">
        <div>
          <dt>{t('link.newest')}</dt>
          <dd>{newest(hub)}</dd>
        </div>
        <div>
          <dt>{t('link.roundTrip')}</dt>
          <dd>{roundTrip(hub.rtt.value)}</dd>
        </div>
        <Freshness hub={hub} />
      </dl>
    </div>
  );
}

function SettingsButton({ view }: { readonly view: View }): JSX.Element {
  const open = view.settings.value;
  const button = useRef<HTMLButtonElement>(null);
  return (
    <div class="settings">
      <button
        ref={button}
        type="button"
        class="quiet square"
        aria-label={t('bar.settings')}
        title={t('bar.settings')}
        aria-expanded={open}
        onClick={() => {
          view.settings.value = !open;
        }}
      >
        <Icon name="settings" />
      </button>
      {open && <settings.Part view={view} button={button} />}
    </div>
  );
}

/** How old positions are when the server hands them to this page's connection, and what it left out. */
function Freshness({ hub }: { readonly hub: Hub }): JSX.Element | null {
  const freshness = hub.freshness.value;
  if (freshness === null) return null;
  const { age, dropped } = freshness;
  return (
    <>
      {age !== undefined && (
        <div title={t('link.ageTitle')}>
          <dt>{t('link.age')}</dt>
          <dd>
            {age.p50} ms<span class="wide-only">{t('link.ageLast', { ms: age.p99 })}</span>
          </dd>
        </div>
      )}
      {dropped > 0 && (
        <div title={t('link.leftOutTitle')}>
          <dt>{t('link.leftOut')}</dt>
          <dd>{count(dropped)}</dd>
        </div>
      )}
    </>
  );
}
