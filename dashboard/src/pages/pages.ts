import type { Word } from '../words';

/**
 * The pages beside the live map: which there are, and who sees them. What they show is loaded after the first view.
 * A page without permissions is for everybody; else one of them is enough.
 */
export interface PageRow {
  readonly section: Section;
  readonly needs: readonly string[];
}

/** What the bar offers; a section opens with the first of its pages that its reader may see. */
export const SECTIONS = ['live', 'history', 'connect', 'administration'] as const;
export type Section = (typeof SECTIONS)[number];

export const PAGES = {
  live: { section: 'live', needs: [] },
  history: { section: 'history', needs: ['history.read'] },
  connect: { section: 'connect', needs: ['locations.report', 'devices.write', 'sources.read'] },
  connections: { section: 'administration', needs: ['connections.manage'] },
  sources: { section: 'administration', needs: ['sources.read'] },
  rooms: { section: 'administration', needs: ['rooms.members'] },
  tokens: { section: 'administration', needs: ['tokens.mint', 'tokens.revoke'] },
  audit: { section: 'administration', needs: ['audit.read'] },
  configuration: { section: 'administration', needs: ['configuration.read'] },
} as const satisfies Readonly<Record<string, PageRow>>;

export type PageName = keyof typeof PAGES;
export const PAGE_NAMES = Object.keys(PAGES) as readonly PageName[];

export const SECTION_WORD = {
  live: 'page.live',
  history: 'page.history',
  connect: 'page.connect',
  administration: 'page.administration',
} as const satisfies Record<Section, Word>;

/** The page that a section opens with; nothing where none of its pages is for this reader. */
export const firstOf = (section: Section, permissions: readonly string[]): PageName | undefined =>
  pagesFor(permissions).find((name) => PAGES[name].section === section);

/** The pages that somebody with these permissions sees. */
export function pagesFor(permissions: readonly string[]): readonly PageName[] {
  return PAGE_NAMES.filter((name) => {
    const { needs }: PageRow = PAGES[name];
    return needs.length === 0 || needs.some((one) => permissions.includes(one));
  });
}
