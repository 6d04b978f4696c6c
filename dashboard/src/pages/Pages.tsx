import type { FunctionComponent, JSX } from 'preact';

import type { Hub } from '../hub';
import type { MapController } from '../map/controller';
import type { View } from '../view';
import type { PageName } from './pages';

export interface PageProps {
  readonly hub: Hub;
  readonly view: View;
  readonly map: MapController;
}

/** What each page shows: a part of its own, so that a reader loads the pages that they open. */
const PARTS: Partial<Record<PageName, { readonly Part: FunctionComponent<PageProps> }>> = {};

/** The page beside the live map that is open. */
export function Pages(props: PageProps): JSX.Element | null {
  const page = PARTS[props.view.page.value];
  return page === undefined ? null : <page.Part {...props} />;
}
