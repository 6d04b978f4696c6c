import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';

import { Sentence } from '../../shell/Sentence';
import type { PageProps } from '../Pages';
import { isHidden, nameOf, originOf, sections, shown } from './configured';
import { Page, Reload, Search, Shown, useFeed } from './parts';
import { read, type Configuration as Answer, type ConfiguredValue } from './rest';
import { many, t } from './words';

/** What the server started with. It does not change while it runs: it is read once. */
export function Configuration({ hub }: PageProps): JSX.Element {
  const search = useSignal('');
  const changedOnly = useSignal(false);
  const feed = useFeed<Answer>(hub, (stop) => read<Answer>('configuration', {}, stop));
  return (
    <Page title={t('frame.configuration')} lead={t('configuration.lead')} actions={<Reload feed={feed} />}>
      <Shown feed={feed}>
        {({ values }) => {
          const found = sections(values, search.value, changedOnly.value);
          const shownCount = found.reduce((sum, section) => sum + section.values.length, 0);
          return (
            <>
              <p class="admin-note">
                <Sentence text={t('configuration.restart')} />
              </p>
              <div class="admin-bar">
                <Search label={t('configuration.search')} text={search} />
                <label class="check">
                  <input
                    type="checkbox"
                    checked={changedOnly}
                    onChange={(event) => {
                      changedOnly.value = event.currentTarget.checked;
                    }}
                  />
                  {t('configuration.changedOnly')}
                </label>
                <span class="panel-note">{many('configuration.shown', values.length, { shown: shownCount })}</span>
              </div>
              {found.length === 0 && <p class="admin-empty">{t('table.noMatch')}</p>}
              {found.map(({ name, values: inIt }) => (
                <section key={name} class="admin-section" aria-label={name}>
                  <h3 class="admin-key">[{name}]</h3>
                  <dl class="admin-values">
                    {inIt.map((one) => (
                      <Value key={one.key} one={one} />
                    ))}
                  </dl>
                </section>
              ))}
            </>
          );
        }}
      </Shown>
    </Page>
  );
}

function Value({ one }: { readonly one: ConfiguredValue }): JSX.Element {
  const origin = originOf(one.origin);
  return (
    <div data-key={one.key} data-origin={origin}>
      <dt>{nameOf(one.key)}</dt>
      <dd>
        {isHidden(one.value) ? (
          <span class="panel-note" title={t('configuration.hiddenNote')}>
            {t('configuration.hidden')}
          </span>
        ) : (
          <code>{shown(one.value)}</code>
        )}
        <span class={`admin-chip is-${origin}`} title={one.origin}>
          {origin === 'other' ? one.origin : t(`configuration.${origin}`)}
          {origin === 'environment' && <code>{one.origin.replace(/^environment\W*/, '').replace(/\W+$/, '')}</code>}
        </span>
      </dd>
    </div>
  );
}
