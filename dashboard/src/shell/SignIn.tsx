import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { Hub } from '../hub';
import { Icon } from '../icons';
import { tidyToken } from '../session';
import { t } from '../words';
import { CopyButton } from './CopyButton';
import { Words } from './Words';

const MINT = 'anita token --config anita.toml --subject alice --role viewer';

export function SignIn({ hub }: { readonly hub: Hub }): JSX.Element {
  const token = useSignal('');
  const busy = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const problem = hub.problem.value;

  useEffect(() => {
    field.current?.focus();
  }, []);

  const submit = async (): Promise<void> => {
    const tidy = tidyToken(token.value);
    if (tidy === '' || busy.value) {
      field.current?.focus();
      return;
    }
    busy.value = true;
    await hub.signIn(tidy);
    busy.value = false;
    field.current?.select();
  };

  return (
    <div class="gate">
      <form
        class="card signin"
        aria-labelledby="signin-title"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h2 id="signin-title">{t('signin.title')}</h2>
        <p class="lead">{t('signin.lead')}</p>
        <label for="token">{t('signin.token')}</label>
        <div class="joined">
          <input
            ref={field}
            id="token"
            name="token"
            type="password"
            autocomplete="off"
            spellcheck={false}
            placeholder="eyJhbGciOi…"
            required
            aria-invalid={problem !== null}
            aria-describedby={problem === null ? undefined : 'signin-problem'}
            value={token}
            onInput={(event) => {
              token.value = event.currentTarget.value;
            }}
          />
          <button type="submit" class="primary" disabled={busy}>
            {busy.value ? t('signin.busy') : t('signin.title')}
          </button>
        </div>
        {problem !== null && (
          <div class="problem" id="signin-problem" role="alert">
            <Icon name="warn" />
            <div>
              <p>
                <b>{problem.message}</b> <code>{problem.code}</code>
              </p>
              <p>
                <Words text={problem.remedy} />
              </p>
            </div>
          </div>
        )}
        <div class="hint">
          <p>{t('signin.none')}</p>
          <div class="command">
            <code>{MINT}</code>
            <CopyButton text={() => MINT} label={t('signin.copy')} />
          </div>
          <p>
            <Words text={t('signin.demo')} />
          </p>
        </div>
      </form>
    </div>
  );
}
