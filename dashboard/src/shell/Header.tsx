import type { JSX } from 'preact';

import type { Hub } from '../hub';
import { Icon, LinkIcon, Logo } from '../icons';
import { agoPhrase, secondsLeft } from '../time';
import type { View } from '../view';
import { LINK } from './link';
import './shell.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
}

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
      {open && <Link hub={hub} />}
      <div class="bar-end">
        {open && session !== null && (
          <span class="user">
            <b>{session.user_id}</b>
            <span class="roles">{session.roles.join(', ')}</span>
          </span>
        )}
        <button
          type="button"
          class="quiet square"
          aria-label="Help and keys"
          title="Help and keys (?)"
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
            <span class="word">Sign out</span>
          </button>
        )}
      </div>
    </header>
  );
}

function Link({ hub }: { readonly hub: Hub }): JSX.Element {
  const state = hub.link.value;
  const { word, shape } = LINK[state];
  const retryAt = hub.retryAt.value;
  return (
    <div class="link" data-state={state}>
      <span class="link-state">
        <LinkIcon shape={shape} />
        <b role="status">{word}</b>
        {state === 'waiting' && retryAt !== null && (
          <span class="link-countdown">in {secondsLeft(retryAt, hub.now.value)} s</span>
        )}
      </span>
      {(state === 'waiting' || state === 'failed' || state === 'offline' || state === 'closed') && (
        <button
          type="button"
          class="small"
          onClick={() => {
            hub.retryNow();
          }}
        >
          Try now
        </button>
      )}
      <dl class="link-facts">
        <div>
          <dt>Newest data</dt>
          <dd>{hub.dataAt.value === null ? 'none yet' : agoPhrase(hub.now.value - hub.dataAt.value)}</dd>
        </div>
        <div class="wide-only">
          <dt>Round trip</dt>
          <dd>{roundTrip(hub.rtt.value)}</dd>
        </div>
        <Freshness hub={hub} />
      </dl>
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
        <div title="From their arrival at the server to this connection: half are younger than the first, all but one in a hundred are younger than the second.">
          <dt>Position age</dt>
          <dd>
            {age.p50} ms<span class="wide-only">, p99 {age.p99} ms</span>
          </dd>
        </div>
      )}
      {dropped > 0 && (
        <div class="wide-only" title="Positions that newer ones replaced, because this page was slow to take them.">
          <dt>Left out</dt>
          <dd>{dropped.toLocaleString('en')}</dd>
        </div>
      )}
    </>
  );
}

function roundTrip(ms: number | null): string {
  if (ms === null) return '–';
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`;
}
