import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';

import { Icon } from '../../icons';
import type { PageProps } from '../Pages';
import { MintedTokens } from './MintedTokens';
import { FRESH_TAKING, type Taking } from './minting';
import { Outcome, Page } from './parts';
import type { RevocationMade } from './rest';
import { Revocations, Revoke } from './Revocations';
import { many, t } from './words';

export function Tokens({ hub }: PageProps): JSX.Element {
  const may = (permission: string): boolean => hub.session.value?.permissions.includes(permission) === true;
  const [mayMint, mayRevoke] = [may('tokens.mint'), may('tokens.revoke')];
  const taking = useSignal<Taking | null>(null);
  const outcome = useSignal('');
  // What one of the lists does changes the other.
  const changes = useSignal(0);
  const revoked = (made: RevocationMade): void => {
    const ended = many('revoke.ended', made.connections_closed);
    outcome.value = made.concerns_you ? `${ended} ${t('revoke.yours')}` : ended;
    changes.value += 1;
    taking.value = null;
  };
  return (
    <Page
      title={t('frame.tokens')}
      lead={t('tokens.lead')}
      actions={
        mayRevoke && (
          <button
            type="button"
            onClick={() => {
              taking.value = FRESH_TAKING;
            }}
          >
            <Icon name="out" /> {t('revoke.open')}
          </button>
        )
      }
    >
      <Outcome text={outcome} />
      {mayMint && <MintedTokens hub={hub} changes={changes} taking={mayRevoke ? taking : undefined} />}
      {mayRevoke && <Revocations hub={hub} changes={changes} outcome={outcome} />}
      {taking.value !== null && (
        <Revoke
          hub={hub}
          taking={taking.value}
          close={() => {
            taking.value = null;
          }}
          done={revoked}
        />
      )}
    </Page>
  );
}
