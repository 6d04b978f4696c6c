import { useSignal } from '@preact/signals';
import type { JSX, RefObject } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef } from 'preact/hooks';

import { choicesAt, spotAt, type Choice, type Spot } from './complete';
import type { Schema } from './schema';
import { t } from './words';

interface Props {
  readonly area: RefObject<HTMLTextAreaElement | null>;
  readonly value: string;
  readonly schema: Schema | undefined;
  readonly isWrong: boolean;
  readonly describedBy: string;
  readonly onChange: (text: string) => void;
  /** Arrow up in the first line, or down in the last; `true` when something was brought back. */
  readonly onRecall: (way: 'older' | 'newer') => boolean;
}

interface Open {
  readonly spot: Spot;
  readonly choices: readonly Choice[];
}

/** The payload, with what the shape offers at the cursor: while a name is typed, or when asked with Ctrl and space. */
export function Completing(props: Props): JSX.Element {
  const { area, value, schema, isWrong, describedBy, onChange, onRecall } = props;
  const id = useId();
  const open = useSignal<Open | null>(null);
  const picked = useSignal(0);
  const caret = useRef<number | null>(null);
  /** Somebody looked before the shape was here, and whether by asking; answered when it comes. */
  const early = useRef<{ readonly isAsked: boolean } | null>(null);

  // After a choice was put in, the cursor stands behind it.
  useLayoutEffect(() => {
    if (caret.current === null) return;
    area.current?.setSelectionRange(caret.current, caret.current);
    caret.current = null;
  });

  const look = (isAsked: boolean): void => {
    const element = area.current;
    if (element === null) return;
    early.current = schema === undefined ? { isAsked } : null;
    if (schema === undefined) return;
    const spot = spotAt(element.value, element.selectionStart);
    const choices = spot === undefined ? [] : choicesAt(schema, spot);
    const isBegun = spot !== undefined && spot.from < element.selectionStart;
    open.value = spot !== undefined && choices.length > 0 && (isAsked || isBegun) ? { spot, choices } : null;
    picked.value = 0;
  };

  useEffect(() => {
    if (early.current !== null) look(early.current.isAsked);
  }, [schema]);

  const put = (choice: Choice | undefined): void => {
    const shown = open.value;
    if (shown === null || choice === undefined) return;
    const { from, to, wants } = shown.spot;
    // A field that has its colon already keeps it.
    const rest = value.slice(to);
    const text = wants === 'field' && /^\s*:/.test(rest) ? choice.text.replace(/: $/, '') : choice.text;
    caret.current = from + text.length - (/^(\{\}|\[\])$/.test(text) ? 1 : 0);
    open.value = null;
    onChange(value.slice(0, from) + text + rest);
  };

  const close = (): void => {
    open.value = early.current = null;
  };

  const onOpenKey = (key: string, { choices }: Open): boolean => {
    const many = choices.length;
    if (key === 'ArrowDown') picked.value = (picked.value + 1) % many;
    else if (key === 'ArrowUp') picked.value = (picked.value + many - 1) % many;
    else if (key === 'Enter' || key === 'Tab') put(choices[picked.value]);
    else if (key === 'Escape') close();
    else return false;
    return true;
  };

  const onKeyDown = (event: KeyboardEvent): void => {
    const element = area.current;
    if (element === null) return;
    const shown = open.value;
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey;
    if (event.key === ' ' && event.ctrlKey) look(true);
    else if (shown !== null && isPlain && onOpenKey(event.key, shown)) event.stopPropagation();
    else if (isPlain && event.key === 'ArrowUp' && isFirstLine(element) && onRecall('older')) close();
    else if (isPlain && event.key === 'ArrowDown' && isLastLine(element) && onRecall('newer')) close();
    else return;
    event.preventDefault();
  };

  const shown = open.value;
  const option = (index: number): string => `${id}-${String(index)}`;
  return (
    <div class="completing">
      <textarea
        ref={area}
        class="code"
        aria-label={t('compose.payload')}
        aria-autocomplete="list"
        aria-haspopup="listbox"
        aria-controls={shown === null ? undefined : id}
        aria-activedescendant={shown === null ? undefined : option(picked.value)}
        aria-describedby={describedBy}
        aria-invalid={isWrong}
        spellcheck={false}
        value={value}
        onInput={(event) => {
          onChange(event.currentTarget.value);
          look(false);
        }}
        onKeyDown={onKeyDown}
        onClick={close}
        onBlur={close}
      />
      {shown !== null && (
        <ul
          id={id}
          class="card completions"
          style={above(area.current, shown.spot.from)}
          role="listbox"
          tabIndex={0}
          aria-label={t('compose.choices')}
        >
          {shown.choices.map((choice, index) => (
            <li
              key={choice.name}
              id={option(index)}
              role="option"
              aria-selected={index === picked.value}
              // The text keeps the focus.
              onMouseDown={(event) => {
                event.preventDefault();
                put(choice);
              }}
            >
              <code>{choice.name}</code>
              {choice.type !== '' && <span class="dim">{choice.type}</span>}
              {choice.isRequired && <b>{t('compose.required')}</b>}
              {choice.description !== '' && <span class="choice-note">{choice.description}</span>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** Above the line in which the token begins; the composer is at the bottom of the page. */
function above(area: HTMLTextAreaElement | null, from: number): Record<string, string> {
  if (area === null) return {};
  const { left, top, width } = area.getBoundingClientRect();
  const { lineHeight, paddingTop } = getComputedStyle(area);
  const line = area.value.slice(0, from).split('\n').length - 1;
  const lineTop = top + parseFloat(paddingTop) + line * parseFloat(lineHeight) - area.scrollTop;
  return {
    left: `${String(Math.round(left))}px`,
    width: `${String(Math.round(width))}px`,
    bottom: `${String(Math.round(innerHeight - lineTop + 4))}px`,
  };
}

const isFirstLine = ({ value, selectionStart }: HTMLTextAreaElement): boolean =>
  !value.slice(0, selectionStart).includes('\n');
const isLastLine = ({ value, selectionEnd }: HTMLTextAreaElement): boolean => !value.slice(selectionEnd).includes('\n');
