import { explain, type Explanation } from '@anita/client/explain';

import { clockTime } from '../time';
import { decimals } from '../words';
import { inGerman } from './german';
import type { Cause, Entry, ErrorDetail, Level, Next, Note } from './log';
import { redact } from './redact';
import { t } from './words';

/** The lines of the log as sentences, in the language that is shown. */

export interface Filter {
  readonly level: 'all' | Level;
  readonly text: string;
}

const explanation = (cause: Cause): Explanation => {
  if (cause.by === 'page') return { meaning: cause.message, remedy: cause.remedy };
  return explain(cause.by === 'close' ? cause.code : cause.error);
};

/** What happened and what to do about it; never with a token in it. */
export function explained({ cause, fault, next }: ErrorDetail, code: string): Explanation {
  const { meaning, remedy } = inGerman(cause, code, explanation(cause));
  // Who is signed in again by the page has nothing to do for it.
  const isDone = fault === 'authentication' && next?.word === 'retry';
  return { meaning: redact(meaning), remedy: isDone ? '' : redact(remedy) };
}

export function sayNext(next: Next): string {
  if ('seconds' in next) return t(`next.${next.word}`, { seconds: decimals(next.seconds, 1) });
  return t(`next.${next.word}`);
}

export function sayNote(note: Note): string {
  switch (note.word) {
    case 'noPlan':
      return t('note.noPlan', { why: note.why });
    case 'slow':
      return t('note.slow', { positions: note.positions, ms: Math.round(note.ms) });
    case 'missed':
      return t('note.missed', { what: note.what, from: note.from, to: note.to });
    case 'narrowed':
      return t('note.narrowed', { what: note.what });
    case 'leaving':
      return t('note.leaving', { seconds: decimals(note.seconds, 1) });
    case 'signedIn':
    case 'signedInAgain':
    case 'signedOut':
    case 'connected':
    case 'connectedAgain':
      return t(`note.${note.word}`);
  }
}

/** Everything that a line says beside its time and type. */
function sentences({ type, error, note }: Entry): string {
  if (note !== undefined) return sayNote(note);
  if (error === undefined) return '';
  const { meaning, remedy } = explained(error, type);
  return `${t(`fault.${error.fault}`)} ${meaning} ${remedy}`;
}

/** Whether a filter takes an entry. */
export function wanted({ level, text }: Filter): (entry: Entry) => boolean {
  const searched = text.trim().toLowerCase();
  return (entry) => {
    if (level !== 'all' && entry.level !== level) return false;
    if (searched === '') return true;
    return [entry.type, entry.text, entry.error?.requestId ?? '', sentences(entry)].some((part) =>
      part.toLowerCase().includes(searched),
    );
  };
}

/** One line of text, for the clipboard. */
export function asText(entry: Entry): string {
  const head = `${clockTime(entry.at, true)} ${t(`level.${entry.level}`).padEnd(8)} ${entry.type}`;
  const { error, note, text } = entry;
  if (note !== undefined) return `${clockTime(entry.at, true)} ${t(`level.${entry.level}`).padEnd(8)} ${sayNote(note)}`;
  if (error === undefined) return `${head} ${text}`;
  const { meaning, remedy } = explained(error, entry.type);
  const parts = [`${head} (${t(`fault.${error.fault}`)}) ${meaning}`];
  if (error.requestId !== undefined) parts.push(t('log.request', { id: error.requestId }));
  if (remedy !== '') parts.push(`${t('log.remedy')} ${remedy}`);
  if (error.next !== undefined) parts.push(sayNext(error.next));
  if (text !== '') parts.push(text);
  return parts.join(' | ');
}

/** One line of JSON, for programs: names and codes stay as they are, sentences are in the reader's language. */
export function asJson(entry: Entry): string {
  const { at, level, type, text, note, error } = entry;
  const line: Record<string, unknown> = { time: new Date(at).toISOString(), level, type };
  if (note !== undefined) Object.assign(line, { ...note, message: sayNote(note) });
  if (error !== undefined) {
    const { meaning, remedy } = explained(error, type);
    Object.assign(line, { fault: error.fault, message: meaning, remedy });
    if (error.requestId !== undefined) line['request_id'] = error.requestId;
    if (error.next !== undefined) Object.assign(line, { retries: retries(error.next), next: sayNext(error.next) });
    if (error.cause.by === 'close') line['close_code'] = error.cause.code;
  }
  if (text !== '') line['frame'] = text;
  return JSON.stringify(line);
}

/** Whether the page comes back by itself. */
const retries = ({ word }: Next): boolean => word === 'retryIn' || word === 'retry' || word === 'network';

/** `messages-2026-11-22T07-05-09Z.jsonl`. */
export const fileName = (now: number): string =>
  `messages-${new Date(now).toISOString().slice(0, 19).replaceAll(':', '-')}Z.jsonl`;
