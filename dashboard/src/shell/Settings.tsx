import type { JSX, RefObject } from 'preact';
import { useRef } from 'preact/hooks';

import type { View } from '../view';
import { languageChoice, LANGUAGES, OWN_NAME, t as common } from '../words';
import { CopyButton } from './CopyButton';
import { SavedViews } from './SavedViews';
import { THEMES, themeChoice } from './theme';
import { useAway } from './useAway';
import { t } from './words';
import './settings.css';

interface Props {
  readonly view: View;
  /** What opened it, and closes it. */
  readonly button: RefObject<HTMLButtonElement | null>;
}

/** How the page looks and speaks, and the link to what it shows. */
export function Settings({ view, button }: Props): JSX.Element {
  const menu = useRef<HTMLDivElement>(null);
  useAway(menu, button, () => {
    view.settings.value = false;
  });

  return (
    <div ref={menu} class="card settings-menu" role="group" aria-label={common('bar.settings')}>
      <label>
        <span>{t('settings.theme')}</span>
        <select
          value={themeChoice.value}
          onChange={(event) => {
            const wanted = event.currentTarget.value;
            themeChoice.value = THEMES.find((theme) => theme === wanted) ?? 'auto';
          }}
        >
          {THEMES.map((theme) => (
            <option key={theme} value={theme}>
              {t(`settings.theme.${theme}`)}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>{t('settings.language')}</span>
        <select
          value={languageChoice.value}
          onChange={(event) => {
            const wanted = event.currentTarget.value;
            languageChoice.value = LANGUAGES.find((language) => language === wanted) ?? 'auto';
          }}
        >
          <option value="auto">{t('settings.language.auto')}</option>
          {LANGUAGES.map((language) => (
            <option key={language} value={language} lang={language}>
              {OWN_NAME[language]}
            </option>
          ))}
        </select>
      </label>
      <CopyButton text={() => location.href} label={t('settings.share')} word={t('settings.share')} />
      <p class="panel-note">{t('settings.shareNote')}</p>
      <a href={kioskAddress()}>{t('settings.kiosk')}</a>
      <SavedViews
        onOpen={() => {
          view.settings.value = false;
        }}
      />
    </div>
  );
}

/** The same view as a display for a wall. */
function kioskAddress(): string {
  const url = new URL(location.href);
  url.searchParams.set('kiosk', '1');
  return url.href;
}
