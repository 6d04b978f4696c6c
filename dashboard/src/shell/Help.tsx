import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { Icon, StatusShape } from '../icons';
import { PAST_KEYS } from '../pages/history/keys';
import { t as ofPast } from '../pages/history/words';
import type { View } from '../view';
import { KEYS } from './keylist';
import { t } from './words';
import './help.css';

export function Help({ view }: { readonly view: View }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = view.help.value;
  useEffect(() => {
    const element = dialog.current;
    if (element === null) return;
    if (open && !element.open) element.showModal();
    if (!open && element.open) element.close();
  }, [open]);
  const close = (): void => {
    view.help.value = false;
  };
  return (
    // A click on the backdrop closes as well; the keyboard has Escape and the button.
    <dialog
      ref={dialog}
      class="help"
      aria-labelledby="help-title"
      onClose={close}
      onClick={(event) => {
        if (event.target === event.currentTarget) close();
      }}
    >
      <div class="help-body">
        <div class="help-head">
          <h2 id="help-title">{t('help.title')}</h2>
          <button type="button" class="quiet square" aria-label={t('help.close')} onClick={close}>
            <Icon name="close" />
          </button>
        </div>
        <Keys list={KEYS.map(({ keys, does }) => ({ keys, does: t(does) }))} />
        <h3>{t('help.past')}</h3>
        <Keys list={PAST_KEYS.map(({ keys, does }) => ({ keys, does: ofPast(does) }))} />
        <label class="check">
          <input
            type="checkbox"
            checked={view.shortcuts}
            onChange={(event) => {
              view.shortcuts.value = event.currentTarget.checked;
            }}
          />
          {t('help.single')}
        </label>
        <h3>{t('help.onMap')}</h3>
        <ul class="legend">
          <li>
            <StatusShape status="connected" /> {t('help.tagConnected')}
          </li>
          <li>
            <StatusShape status="stale" /> {t('help.tagStale')}
          </li>
          <li>
            <StatusShape status="disconnected" /> {t('help.disconnected')}
          </li>
          <li>
            <StatusShape status="connected" kind="anchor" /> {t('help.anchor')}
          </li>
          <li>
            <StatusShape status="connected" kind="gateway" /> {t('help.gateway')}
          </li>
          <li>
            <span class="low-mark">
              <StatusShape status="connected" kind="anchor" />
            </span>{' '}
            {t('help.low')}
          </li>
        </ul>
        <p class="help-note">{t('help.fading')}</p>
        <p class="help-note">{t('help.note')}</p>
      </div>
    </dialog>
  );
}

function Keys({ list }: { list: readonly { keys: readonly string[]; does: string }[] }): JSX.Element {
  return (
    <dl class="keys">
      {list.map(({ keys, does }) => (
        <div key={does}>
          <dt>
            {keys.map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}
          </dt>
          <dd>{does}</dd>
        </div>
      ))}
    </dl>
  );
}
