import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

import { ago, agoPhrase } from '../src/time';
import { decimals, load, localeOf, many, preferred, t } from '../src/words';
import { keyed } from '../src/words/keyed';

type Words = Readonly<Record<string, string>>;

const SOURCE = join(import.meta.dirname, '../src');
const slots = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();

/** The words of the first view, and those of each part that has a folder `words` of its own. */
const dictionaries = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('words/en.ts'))
  .map((name) => name.slice(0, -'/en.ts'.length));

const read = async (folder: string, language: string): Promise<Words> => {
  const file = (await import(/* @vite-ignore */ join(SOURCE, folder, `${language}.ts`))) as Record<string, Words>;
  return file[language] ?? {};
};

afterEach(() => load('en'));

describe('the words', () => {
  it.each(dictionaries)('of %s are the same in both languages, with the same slots', async (folder) => {
    const [en, de] = await Promise.all([read(folder, 'en'), read(folder, 'de')]);
    expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
    expect(Object.keys(en)).not.toEqual([]);
    for (const [key, text] of Object.entries(en)) {
      expect([key, slots(de[key] ?? '')]).toEqual([key, slots(text)]);
      expect(de[key]?.trim()).not.toBe('');
    }
  });

  it('travel without their keys', () => {
    const texts = keyed({ 'first.word': 'one', 'another.word': 'two' }, ['eins', 'zwei']);
    expect(texts).toEqual({ 'first.word': 'eins', 'another.word': 'zwei' });
  });

  it.each(dictionaries)('of %s are all used where they belong', async (folder) => {
    const en = await read(folder, 'en');
    const owner = join(SOURCE, folder, '..');
    const texts = readdirSync(owner, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name) && !/(^|\/)words\//.test(name))
      .map((name) => readFileSync(join(owner, name), 'utf8'))
      .join('\n');
    const unused = Object.keys(en).filter((key) => {
      const stem = key.replace(/\.(one|other)$/, '');
      // Some are put together: `status.${status}`.
      const family = key.replace(/[^.]+$/, '${');
      return !texts.includes(`'${stem}'`) && !texts.includes('`' + family) && !texts.includes(`: \`${family}`);
    });
    expect(unused).toEqual([]);
  });

  it('take values, numbers as the reader writes them', async () => {
    expect(t('list.placeholderCount', { n: 12_345 })).toBe('Search 12,345 devices by name or id');
    await load('de');
    expect(t('list.placeholderCount', { n: 12_345 })).toBe('In 12.345 Geräten suchen: Name, Id');
    expect(decimals(1_234.5, 2)).toBe('1234,50');
    expect([ago(4_000), agoPhrase(4_000), agoPhrase(10)]).toEqual(['4 s', 'vor 4 s', 'jetzt']);
  });

  it('know one and many', () => {
    expect([many('measure.points', 1), many('measure.points', 2)]).toEqual(['1 point', '2 points']);
    expect(many('list.shown', 3, { total: 9 })).toBe('3 of 9 shown');
  });

  it('write numbers that stand in columns', () => {
    expect([decimals(1, 2), decimals(-0.001, 2), decimals(-1.006, 2), decimals(12_345.6, 1)]).toEqual([
      '1.00',
      '0.00',
      '-1.01',
      '12345.6',
    ]);
  });

  it('are chosen by the browser’s languages', () => {
    expect(preferred(['de-CH', 'en'])).toBe('de');
    expect(preferred(['fr', 'en-GB', 'de'])).toBe('en');
    expect(preferred(['ja'])).toBe('en');
    expect(localeOf('de', ['fr', 'de-CH', 'de'])).toBe('de-CH');
    expect(localeOf('en', ['fr'])).toBe('en');
  });
});
