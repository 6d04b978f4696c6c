import { computed, effect, signal } from '@preact/signals';

import { oneOf, remembered } from '../prefs';
import { en } from './en';

/**
 * What the page says, and how it writes numbers and times. English is the source; every other language is a file of
 * its own that is loaded when it is wanted. A component that says something with `t` is drawn again when the language
 * changes.
 */

/** Texts in English, by their keys. */
type Source = Readonly<Record<string, string>>;
type Counted<S extends Source> = { [K in keyof S & string]: K extends `${infer Stem}.other` ? Stem : never }[keyof S &
  string];

/** The names of the `{slots}` in a text. */
type Slots<Text extends string> = Text extends `${string}{${infer Slot}}${infer Rest}` ? Slot | Slots<Rest> : never;
type Values<S extends Source, K extends keyof S> = Readonly<Record<Slots<S[K]>, string | number>>;
type Arguments<S extends Source, K extends keyof S> = [Slots<S[K]>] extends [never] ? [] : [values: Values<S, K>];
type Others<S extends Source, K extends string> = Exclude<Slots<S[`${K}.other`]>, 'n'>;
type MoreArguments<S extends Source, K extends string> = [Others<S, K>] extends [never]
  ? []
  : [values: Readonly<Record<Others<S, K>, string | number>>];

/** What says the texts of one part of the page. */
export interface Speech<S extends Source> {
  /** A text in the reader's language. Numbers in its slots are written as the reader writes them. */
  readonly t: <K extends keyof S & string>(word: K, ...values: Arguments<S, K>) => string;
  /** A text for a number of things, in the form that the language has for that number. */
  readonly many: <K extends Counted<S>>(word: K, n: number, ...values: MoreArguments<S, K>) => string;
}

export type Word = keyof typeof en;
export type Words = Readonly<Record<Word, string>>;

export const LANGUAGES = ['en', 'de'] as const;
export type Language = (typeof LANGUAGES)[number];
/** What a language calls itself. */
export const OWN_NAME: Record<Language, string> = { en: 'English', de: 'Deutsch' };

/** The reader's wish; `auto` is the browser's. */
export const languageChoice = remembered<'auto' | Language>('language', 'auto', oneOf(['auto', ...LANGUAGES]));

/** The other languages, each in files of its own that are loaded when they are wanted. */
const TRANSLATIONS = {
  de: { first: async () => (await import('./german')).de, parts: () => import('./german.parts') },
} as const satisfies Record<Exclude<Language, 'en'>, { first: () => Promise<Words>; parts: unknown }>;
type Translation = Awaited<ReturnType<(typeof TRANSLATIONS)['de']['parts']>>;
/** The part of a translation that has all of these texts. */
type PartOf<S extends Source> = {
  [P in keyof Translation]: Translation[P] extends Readonly<Record<keyof S, string>> ? P : never;
}[keyof Translation];

const current = signal<{ language: Language; words: Words }>({ language: 'en', words: en });

/** The language that is shown. */
export const language = computed(() => current.value.language);

/** The first of the browser's languages that the page speaks. */
export function preferred(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const base = tag.toLowerCase().split('-')[0];
    const spoken = LANGUAGES.find((one) => one === base);
    if (spoken !== undefined) return spoken;
  }
  return 'en';
}

/** The reader's own variant of the language, so that a Swiss reads numbers as the Swiss do. */
export function localeOf(shown: Language, wanted: readonly string[]): string {
  return wanted.find((tag) => tag.toLowerCase().split('-')[0] === shown) ?? shown;
}

const wantedLanguages = (): readonly string[] => (typeof navigator === 'undefined' ? [] : navigator.languages);

export const locale = computed(() => localeOf(current.value.language, wantedLanguages()));

/** Speaks as the reader wishes from now on; settles when the first words are there. */
export async function listenToLanguage(): Promise<void> {
  let asked = 0;
  let first: Promise<void> = Promise.resolve();
  effect(() => {
    const wanted = languageChoice.value === 'auto' ? preferred(wantedLanguages()) : languageChoice.value;
    const turn = (asked += 1);
    // Words that cannot be loaded leave the page as it is: it stays usable.
    first = load(wanted, () => turn === asked).catch(() => undefined);
  });
  effect(() => {
    document.documentElement.lang = language.value;
  });
  await first;
}

/** Speaks this language once its words are there, unless another one was wanted meanwhile. */
export async function load(wanted: Language, isStill = (): boolean => true): Promise<void> {
  const words = wanted === 'en' ? en : await TRANSLATIONS[wanted].first();
  if (isStill()) current.value = { language: wanted, words };
}

/** The texts that every part may say. */
export const { t, many } = sayer<typeof en>(() => current.value.words);

let partWords: Promise<unknown> = Promise.resolve();

/** Settles when the parts that are loaded by now have their texts in the language that is shown. */
export const wordsOfParts = (): Promise<unknown> => partWords;

/**
 * The texts of a part that is loaded later, in its own files: English comes with the part, another language as soon as
 * it is shown.
 */
export function speech<const S extends Source>(own: S, part: PartOf<S>): Speech<S> {
  const words = signal<{ language: Language; words: Readonly<Record<keyof S, string>> }>({
    language: 'en',
    words: own,
  });
  effect(() => {
    const wanted = language.value;
    if (wanted === words.peek().language) return;
    const loading = (wanted === 'en' ? Promise.resolve(null) : TRANSLATIONS[wanted].parts()).then(
      (loaded) => {
        if (wanted !== language.peek()) return;
        const texts = loaded === null ? own : (loaded[part] as Readonly<Record<keyof S, string>>);
        words.value = { language: wanted, words: texts };
      },
      // Words that cannot be loaded leave the part as it is: it stays usable.
      () => undefined,
    );
    partWords = Promise.all([partWords, loading]);
  });
  return sayer<S>(() => words.value.words);
}

function sayer<S extends Source>(words: () => Readonly<Record<keyof S, string>>): Speech<S> {
  const say = (word: keyof S, values?: Readonly<Record<string, string | number>>): string => {
    const text: string = words()[word];
    if (values === undefined) return text;
    return text.replace(/\{(\w+)\}/g, (slot, name: string) => {
      const value = values[name];
      return value === undefined ? slot : typeof value === 'number' ? count(value) : value;
    });
  };
  return {
    t: (word, ...[values]) => say(word, values),
    many: (word, n, ...[values]) =>
      say(`${word}.${pluralRules.value.select(n) === 'one' ? 'one' : 'other'}`, { n, ...values }),
  };
}

const pluralRules = computed(() => new Intl.PluralRules(locale.value));
const counts = computed(() => new Intl.NumberFormat(locale.value, { maximumFractionDigits: 1 }));
const FIXED = computed(() =>
  [0, 1, 2, 3].map(
    (digits) =>
      // Coordinates stand in columns: no grouping.
      new Intl.NumberFormat(locale.value, {
        useGrouping: false,
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      }),
  ),
);
const dates = computed(() => new Intl.DateTimeFormat(locale.value, { dateStyle: 'medium' }));

/** A count: grouped, at most one decimal. */
export const count = (value: number): string => counts.value.format(value);

/** A measurement with a fixed number of decimals. */
export function decimals(value: number, digits: 0 | 1 | 2 | 3): string {
  const text = FIXED.value[digits]?.format(value) ?? String(value);
  // A position of -0.00 is 0.00.
  return /^[-−]0[.,]?0*$/.test(text) ? text.slice(1) : text;
}

/** The day of a moment. */
export const day = (at: number): string => dates.value.format(at);
