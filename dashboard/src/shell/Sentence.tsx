import type { JSX } from 'preact';

/** A sentence in which `words like these` are code. */
export function Sentence({ text }: { readonly text: string }): JSX.Element {
  return <>{text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>;
}
