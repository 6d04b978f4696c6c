import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';

import { Icon } from '../icons';
import { t } from '../words';
import { copyText } from './copy';

interface Props {
  readonly text: () => string;
  readonly label: string;
  /** Shown beside the picture; without it the label is for screen readers only. */
  readonly word?: string;
}

export function CopyButton({ text, label, word }: Props): JSX.Element {
  const said = useSignal('');
  const copy = async (): Promise<void> => {
    said.value = (await copyText(text())) ? t('copy.done') : t('copy.failed');
    setTimeout(() => {
      said.value = '';
    }, 1_500);
  };
  const shown = said.value === '' ? word : said.value;
  return (
    <button
      type="button"
      class={shown === undefined ? 'quiet square' : 'quiet'}
      aria-label={said.value === '' ? label : undefined}
      title={label}
      onClick={() => void copy()}
    >
      <Icon name="copy" />
      {shown !== undefined && <span class="word">{shown}</span>}
    </button>
  );
}
