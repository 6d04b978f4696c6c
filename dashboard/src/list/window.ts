/** Which rows of a long list are in view, with a few more on either side. */
export interface RowWindow {
  readonly first: number;
  /** One past the last. */
  readonly end: number;
}

export function rowWindow(scrollTop: number, height: number, rowHeight: number, total: number, extra = 6): RowWindow {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - extra);
  const end = Math.min(total, Math.ceil((scrollTop + height) / rowHeight) + extra);
  return { first: Math.min(first, end), end };
}

/** Where to scroll so that row `index` is fully in view below a head of `head` pixels; unchanged when it already is. */
export function scrollToRow(scrollTop: number, height: number, rowHeight: number, index: number, head = 0): number {
  const top = index * rowHeight;
  if (top < scrollTop) return top;
  const bottom = top + rowHeight + head;
  return bottom > scrollTop + height ? bottom - height : scrollTop;
}
