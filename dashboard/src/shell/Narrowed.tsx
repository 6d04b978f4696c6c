import type { JSX } from 'preact';

import type { Hub } from '../hub';
import { Icon } from '../icons';
import { t } from './words';
import './narrowed.css';

/** Says why pages and buttons have gone: the reader's rights became less while the page was open. */
export function Narrowed({ hub }: { readonly hub: Hub }): JSX.Element {
  return (
    <div class="narrowed" role="status">
      <Icon name="warn" />
      <p>
        <b>{t('narrowed.title')}</b> {t('narrowed.what', { what: hub.narrowed.value.join(', ') })}{' '}
        {t('narrowed.remedy')}
      </p>
      <button
        type="button"
        class="quiet square"
        aria-label={t('narrowed.close')}
        title={t('narrowed.close')}
        onClick={() => {
          hub.narrowed.value = [];
        }}
      >
        <Icon name="close" />
      </button>
    </div>
  );
}
