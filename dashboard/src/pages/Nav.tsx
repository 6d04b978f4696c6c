import type { JSX } from 'preact';

import type { View } from '../view';
import { t } from '../words';
import { firstOf, PAGES, pagesFor, SECTION_WORD, SECTIONS } from './pages';

interface Props {
  readonly view: View;
  readonly permissions: readonly string[];
}

/** The sections of which the reader may see a page; nothing where the live map is the only one. */
export function Nav({ view, permissions }: Props): JSX.Element | null {
  const sections = SECTIONS.flatMap((section) => {
    const first = firstOf(section, permissions);
    return first === undefined ? [] : [{ section, first }];
  });
  if (sections.length < 2) return null;
  // A page that its reader may not see is not shown: the map is.
  const current = pagesFor(permissions).includes(view.page.value) ? PAGES[view.page.value].section : 'live';
  return (
    <nav class="sections" aria-label={t('page.nav')}>
      {sections.map(({ section, first }) => (
        <button
          key={section}
          type="button"
          class="quiet"
          aria-current={section === current ? 'page' : undefined}
          onClick={() => {
            if (section !== current) view.page.value = first;
          }}
        >
          {t(SECTION_WORD[section])}
        </button>
      ))}
    </nav>
  );
}
