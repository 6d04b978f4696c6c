import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import type { Hub } from '../hub';
import { Icon } from '../icons';
import { SignInFailure, tidyToken, type Problem } from '../session';
import { CopyButton } from './CopyButton';
import { Sentence } from './Sentence';
import { FAILURES, loadWays, wayAddress, type Way } from './ways';
import { t } from './words';
import './signin.css';

const MINT = 'anita token --config anita.toml --subject alice --role viewer';

export function SignIn({ hub }: { readonly hub: Hub }): JSX.Element {
  const token = useSignal('');
  const busy = useSignal(false);
  /** Not known yet while `null`. */
  const ways = useSignal<readonly Way[] | null>(null);
  const leaving = useSignal<Way | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const problem = hub.problem.value;

  useEffect(() => {
    void loadWays().then((found) => {
      ways.value = found;
    });
    // Who comes back with the browser's button finds the page as it was left.
    const back = (): void => {
      leaving.value = null;
    };
    addEventListener('pageshow', back);
    return () => {
      removeEventListener('pageshow', back);
    };
  }, [ways, leaving]);

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

  if (ways.value === null) return <div class="gate" />;
  const hasWays = ways.value.length > 0;
  const isOfToken = problem !== null && !(problem instanceof SignInFailure);
  const words = problem === null ? null : inWords(problem);
  const told = problem !== null && words !== null && (
    <div class="problem" id="signin-problem" role="alert">
      <Icon name="warn" />
      <div>
        <p>
          <b>{words.message}</b> <code>{problem.code}</code>
        </p>
        <p>
          <Sentence text={words.remedy} />
        </p>
      </div>
    </div>
  );
  const form = (
    <form
      class="by-token"
      aria-labelledby="signin-title"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <p class="lead">{t('signin.lead')}</p>
      <label for="token">{t('signin.token')}</label>
      <div class="joined">
        <input
          ref={(place) => {
            const isNew = field.current !== place;
            field.current = place;
            if (isNew && !hasWays) focus(place);
          }}
          id="token"
          name="token"
          type="password"
          autocomplete="off"
          spellcheck={false}
          placeholder="eyJhbGciOi…"
          required
          aria-invalid={isOfToken}
          aria-describedby={isOfToken ? 'signin-problem' : undefined}
          value={token}
          onInput={(event) => {
            token.value = event.currentTarget.value;
          }}
        />
        <button type="submit" class={hasWays ? '' : 'primary'} disabled={busy}>
          {busy.value ? t('signin.busy') : t('signin.title')}
        </button>
      </div>
      {!hasWays && told}
      <div class="hint">
        <p>{t('signin.none')}</p>
        <div class="command">
          <code>{MINT}</code>
          <CopyButton text={() => MINT} label={t('signin.copy')} />
        </div>
        <p>
          <Sentence text={t('signin.demo')} />
        </p>
      </div>
    </form>
  );
  return (
    <div class="gate">
      <section class="card signin" aria-labelledby="signin-title">
        <h2 id="signin-title">{t('signin.title')}</h2>
        {hasWays && (
          <>
            <div class="ways">
              {ways.value.map((way, index) => (
                <button
                  key={way.path}
                  ref={index === 0 ? focus : null}
                  type="button"
                  class="primary"
                  disabled={leaving.value !== null}
                  onClick={() => {
                    leaving.value = way;
                    location.assign(wayAddress(way));
                  }}
                >
                  {t(leaving.value === way ? 'signin.leaving' : 'signin.with', { label: way.label })}
                </button>
              ))}
            </div>
            <p class="ways-lead">{t('signin.waysLead')}</p>
            {told}
          </>
        )}
        {hasWays ? (
          <details>
            <summary>{t('signin.byToken')}</summary>
            {form}
          </details>
        ) : (
          form
        )}
      </section>
    </div>
  );
}

/** What people do first has the focus when it comes. */
const focus = (place: HTMLElement | null): void => place?.focus();

/** A failed sign-in by a way is told in the reader's words, all else as the server says it. */
function inWords(problem: Problem): { readonly message: string; readonly remedy: string } {
  const failure = FAILURES.find((one) => one === problem.code);
  if (!(problem instanceof SignInFailure) || failure === undefined) return problem;
  return { message: t(`signin.error.${failure}`), remedy: t(`signin.remedy.${failure}`) };
}
