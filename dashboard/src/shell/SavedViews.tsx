import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { Icon } from '../icons';
import { CopyButton } from './CopyButton';
import { addressOf, NAME_MAX, removeView, renameView, savedViews, saveView, VIEWS_MAX, type SavedView } from './saved';
import { t } from './words';

/** The views of this browser: to open, to hand on, to rename, to take away; and what is seen now, under a new name. */
export function SavedViews({ onOpen }: { readonly onOpen: () => void }): JSX.Element {
  const name = useSignal('');
  const said = useSignal('');
  const views = savedViews.value;
  const save = (): void => {
    if (name.value.trim() === '') return;
    const isKept = saveView(name.value, location.hash);
    said.value = isKept ? t('views.saved', { name: name.value.trim() }) : t('views.full', { n: VIEWS_MAX });
    if (isKept) name.value = '';
  };
  return (
    <section class="views" aria-label={t('views.title')}>
      <h2>{t('views.title')}</h2>
      {views.length === 0 ? (
        <p class="panel-note">{t('views.none')}</p>
      ) : (
        <ul>
          {views.map((view) => (
            <Row key={view.name} view={view} onOpen={onOpen} />
          ))}
        </ul>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <input
          aria-label={t('views.name')}
          placeholder={t('views.name')}
          maxLength={NAME_MAX}
          autocomplete="off"
          value={name}
          onInput={(event) => {
            name.value = event.currentTarget.value;
            said.value = '';
          }}
        />
        <button type="submit" disabled={name.value.trim() === ''}>
          {t('views.save')}
        </button>
      </form>
      <p class="panel-note" role="status">
        {said.value}
      </p>
    </section>
  );
}

function Row({ view, onOpen }: { readonly view: SavedView; readonly onOpen: () => void }): JSX.Element {
  const renaming = useSignal<string | null>(null);
  const { name } = view;
  if (renaming.value !== null)
    return <Renaming view={view} text={renaming.value} onEnd={() => (renaming.value = null)} />;
  return (
    <li>
      <button
        type="button"
        class="quiet view-name"
        title={t('views.open', { name })}
        onClick={() => {
          location.hash = view.fragment;
          onOpen();
        }}
      >
        {name}
      </button>
      <CopyButton text={() => addressOf(view, false)} label={t('views.copy', { name })} />
      <a
        class="view-wall"
        href={addressOf(view, true)}
        aria-label={t('views.wall', { name })}
        title={t('views.wall', { name })}
      >
        <Icon name="tall" />
      </a>
      <button
        type="button"
        class="quiet square"
        aria-label={t('views.rename', { name })}
        title={t('views.rename', { name })}
        onClick={() => {
          renaming.value = name;
        }}
      >
        <Icon name="edit" />
      </button>
      <button
        type="button"
        class="quiet square"
        aria-label={t('views.remove', { name })}
        title={t('views.remove', { name })}
        onClick={() => {
          removeView(view);
        }}
      >
        <Icon name="trash" />
      </button>
    </li>
  );
}

interface RenamingProps {
  readonly view: SavedView;
  readonly text: string;
  readonly onEnd: () => void;
}

function Renaming({ view, text, onEnd }: RenamingProps): JSX.Element {
  const name = useSignal(text);
  const isTaken = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.select(), []);
  return (
    <li>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (renameView(view, name.value)) onEnd();
          else isTaken.value = true;
        }}
      >
        <input
          ref={field}
          aria-label={t('views.newName', { name: view.name })}
          aria-invalid={isTaken.value}
          maxLength={NAME_MAX}
          value={name}
          onInput={(event) => {
            name.value = event.currentTarget.value;
            isTaken.value = false;
          }}
          onKeyDown={(event) => {
            if (event.key !== 'Escape') return;
            event.stopPropagation();
            onEnd();
          }}
        />
        <button type="submit">{t('views.save')}</button>
        {isTaken.value && (
          <p class="inline-error" role="alert">
            {t('views.taken')}
          </p>
        )}
      </form>
    </li>
  );
}
