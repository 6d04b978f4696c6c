import type { State } from '@anita/client';

import type { LinkShape } from '../icons';

/** How the state of the link is said: always a word and a shape, never colour alone. */
export const LINK: Record<State, { word: string; shape: LinkShape }> = {
  idle: { word: 'Not connected', shape: 'off' },
  connecting: { word: 'Connecting', shape: 'busy' },
  authenticating: { word: 'Signing in', shape: 'busy' },
  online: { word: 'Live', shape: 'live' },
  waiting: { word: 'Reconnecting', shape: 'waiting' },
  offline: { word: 'Offline', shape: 'off' },
  closed: { word: 'Closed', shape: 'off' },
  failed: { word: 'Stopped', shape: 'failed' },
};
