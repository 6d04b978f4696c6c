import type { State } from '@anita/client';

import type { LinkShape } from '../icons';

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
