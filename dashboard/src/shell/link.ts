import type { State } from '@anita/client';

import type { Hub } from '../hub';
import type { LinkShape } from '../icons';
import { agoPhrase, clockTime } from '../time';
import { decimals, t } from '../words';

/** How the state of the link is said: always a word and a shape, never colour alone. */
export const LINK: Record<State, { word: `link.${State}`; shape: LinkShape }> = {
  idle: { word: 'link.idle', shape: 'off' },
  connecting: { word: 'link.connecting', shape: 'busy' },
  authenticating: { word: 'link.authenticating', shape: 'busy' },
  online: { word: 'link.online', shape: 'live' },
  waiting: { word: 'link.waiting', shape: 'waiting' },
  offline: { word: 'link.offline', shape: 'off' },
  closed: { word: 'link.closed', shape: 'off' },
  failed: { word: 'link.failed', shape: 'failed' },
};

export const roundTrip = (ms: number | null): string => (ms === null ? '–' : `${decimals(ms, ms < 10 ? 1 : 0)} ms`);

/** How old the newest data are. */
export const newest = ({ dataAt, now }: Hub): string =>
  dataAt.value === null ? t('link.noneYet') : agoPhrase(now.value - dataAt.value);

/** Of when it is, what is not live. */
export const asOf = ({ dataAt: { value } }: Hub): string =>
  value === null ? t('map.noData') : t('map.asOf', { time: clockTime(value) });
