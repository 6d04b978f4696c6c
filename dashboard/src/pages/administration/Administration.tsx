import type { FunctionComponent, JSX } from 'preact';

import type { PageProps } from '../Pages';
import { pagesFor, type PAGES, type PageName } from '../pages';
import './administration.css';
import { Audit } from './Audit';
import { Configuration } from './Configuration';
import { Connections } from './Connections';
import { Rooms } from './Rooms';
import { Sources } from './Sources';
import { Tokens } from './Tokens';
import { t } from './words';

type Name = { [N in PageName]: (typeof PAGES)[N]['section'] extends 'administration' ? N : never }[PageName];

const SHOWN: Readonly<Record<Name, FunctionComponent<PageProps>>> = {
  connections: Connections,
  sources: Sources,
  rooms: Rooms,
  tokens: Tokens,
  audit: Audit,
  configuration: Configuration,
};

const isOurs = (name: PageName): name is Name => name in SHOWN;

/** The pages for those who look after the server: a list of those that they may see, and the one that is open. */
export function Administration(props: PageProps): JSX.Element | null {
  const { hub, view } = props;
  const open = view.page.value;
  const names = pagesFor(hub.session.value?.permissions ?? []).filter(isOurs);
  if (!isOurs(open)) return null;
  const Shown = SHOWN[open];
  return (
    <div class="admin">
      <nav class="admin-nav" aria-label={t('frame.nav')}>
        <ul>
          {names.map((name) => (
            <li key={name}>
              <a
                href={hrefOf(name)}
                aria-current={name === open ? 'page' : undefined}
                onClick={(event) => {
                  // Another tab, or a copy of the link, is the browser's.
                  if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
                  event.preventDefault();
                  view.page.value = name;
                }}
              >
                {t(`frame.${name}`)}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="admin-stage">
        <Shown key={open} {...props} />
      </div>
    </div>
  );
}

/** The address of a page, with everything else as it is now. */
function hrefOf(name: Name): string {
  const words = new URLSearchParams(location.hash.slice(1));
  words.set('page', name);
  // The whole address: a bare fragment would be taken for the link of a part of this page.
  return `${location.href.split('#')[0] ?? ''}#${words.toString()}`;
}
