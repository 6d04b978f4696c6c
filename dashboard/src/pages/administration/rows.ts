/** What tables do with their rows: sorting, filtering by text, and pages. */

export type SortValue = string | number | null | undefined;

export interface Order {
  readonly by: string;
  readonly descending: boolean;
}

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** Rows in order; those without a value are last, whichever way it goes. Equal ones stay as they were. */
export function sorted<Row>(rows: readonly Row[], value: (row: Row) => SortValue, descending: boolean): readonly Row[] {
  const isMissing = (one: SortValue): one is null | undefined => one === null || one === undefined || one === '';
  return [...rows].sort((left, right) => {
    const [a, b] = [value(left), value(right)];
    if (isMissing(a) || isMissing(b)) return Number(isMissing(a)) - Number(isMissing(b));
    const order = typeof a === 'number' && typeof b === 'number' ? a - b : collator.compare(String(a), String(b));
    return descending ? -order : order;
  });
}

/** Turns round where it is sorted by the same again. */
export const turned = (order: Order, by: string): Order =>
  order.by === by ? { by, descending: !order.descending } : { by, descending: false };

/** Whether each word of the search is somewhere in the texts. */
export function matches(search: string, texts: readonly (string | null | undefined)[]): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const all = texts
    .filter((text) => text !== null && text !== undefined)
    .join('\n')
    .toLowerCase();
  return words.every((word) => all.includes(word));
}

export interface Part<Row> {
  readonly rows: readonly Row[];
  /** From 0; within what there is, also when rows have gone meanwhile. */
  readonly page: number;
  readonly pages: number;
  /** The number of its first and last row, from 1; 0 and 0 without rows. */
  readonly first: number;
  readonly last: number;
}

export function pageOf<Row>(rows: readonly Row[], wanted: number, size: number): Part<Row> {
  const pages = Math.max(1, Math.ceil(rows.length / size));
  const page = Math.min(Math.max(0, wanted), pages - 1);
  const shown = rows.slice(page * size, (page + 1) * size);
  const first = shown.length === 0 ? 0 : page * size + 1;
  return { rows: shown, page, pages, first, last: page * size + shown.length };
}

/** Where the pages of the server begin that were read so far: the way back. */
export class Trail {
  #starts: readonly (string | undefined)[];

  constructor(starts: readonly (string | undefined)[] = [undefined]) {
    this.#starts = starts;
  }

  /** The `after` of the page that is shown. */
  get after(): string | undefined {
    return this.#starts.at(-1);
  }

  /** The number of the page that is shown, from 1. */
  get number(): number {
    return this.#starts.length;
  }

  forth(next: string): Trail {
    return new Trail([...this.#starts, next]);
  }

  back(): Trail {
    return this.#starts.length < 2 ? this : new Trail(this.#starts.slice(0, -1));
  }
}
