/** Texts that came without their keys, which are those of `source` in the same order: how translations are built. */
export const keyed = <K extends string>(
  source: Readonly<Record<K, string>>,
  texts: readonly string[],
): Readonly<Record<K, string>> =>
  Object.fromEntries(Object.keys(source).map((key, place) => [key, texts[place]])) as Record<K, string>;
