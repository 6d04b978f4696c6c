import type { FunctionComponent, JSX } from 'preact';

import type { Hub } from '../hub';
import type { MapController } from '../map/controller';
import type { View } from '../view';
import { Administration } from './administration/Administration';
import { Connect } from './connect/Connect';
import { History } from './history/History';
import type { PageName } from './pages';

export interface PageProps {
  readonly hub: Hub;
  readonly view: View;
  readonly map: MapController;
}

/** What each page shows. */
const PARTS: Partial<Record<PageName, FunctionComponent<PageProps>>> = {
  history: History,
  connect: Connect,
  connections: Administration,
  sources: Administration,
  rooms: Administration,
  tokens: Administration,
  audit: Administration,
  configuration: Administration,
};

/** The page beside the live map that is open. */
export function Pages(props: PageProps): JSX.Element | null {
  const Page = PARTS[props.view.page.value];
  return Page === undefined ? null : <Page {...props} />;
}
