import { parseTime } from '../../time';
import { ago, dayAndTime } from '../../time';
import { count } from '../../words';
import { t } from './words';

/** Numbers and times as the pages show them. */

export const NOTHING = '–';

const UNITS = ['bytes', 'kilobytes', 'megabytes', 'gigabytes'] as const;

/** `950 B`, `1.2 kB`: thousands, as disks and networks count. */
export function bytes(value: number): string {
  let [n, unit] = [value, 0];
  while (n >= 1_000 && unit < UNITS.length - 1) [n, unit] = [n / 1_000, unit + 1];
  return t(`unit.${UNITS[unit] ?? 'bytes'}`, { n: unit === 0 ? Math.round(n) : n });
}

/** So many a second: `12`, `0.4`; a dash while it is not known. */
export function rate(value: number | null): string {
  if (value === null) return NOTHING;
  return count(value >= 10 ? Math.round(value) : value);
}

export function bytesRate(value: number | null): string {
  return value === null ? NOTHING : t('unit.perSecond', { amount: bytes(Math.round(value)) });
}

/** When it was: the time, with the day where it was another. */
export function when(text: string | undefined, now: number): string {
  const at = parseTime(text);
  return at === undefined ? NOTHING : dayAndTime(at, now);
}

/** How long it has been so: `4 min`. */
export function forHowLong(text: string | undefined, now: number): string {
  const at = parseTime(text);
  return at === undefined ? NOTHING : ago(Math.max(0, now - at));
}
