/** A list with room for `capacity` items; one more pushes the oldest out. */
export class Ring<T> {
  readonly capacity: number;
  #items: (T | undefined)[];
  #start = 0;
  #size = 0;

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError('a ring needs a capacity of at least 1');
    this.capacity = capacity;
    this.#items = new Array<T | undefined>(capacity);
  }

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    this.#items[(this.#start + this.#size) % this.capacity] = item;
    if (this.#size < this.capacity) this.#size += 1;
    else this.#start = (this.#start + 1) % this.capacity;
  }

  /** Item `index` counted from the oldest. */
  at(index: number): T | undefined {
    return index < 0 || index >= this.#size ? undefined : this.#items[(this.#start + index) % this.capacity];
  }

  clear(): void {
    this.#items = new Array<T | undefined>(this.capacity);
    this.#start = 0;
    this.#size = 0;
  }

  /** Oldest first. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.#size; index += 1) yield this.at(index) as T;
  }

  /** The newest `limit` items that `wanted` takes, oldest of them first, and whether there were more. */
  newest(limit: number, wanted: (item: T) => boolean): { items: T[]; more: boolean } {
    const items: T[] = [];
    for (let index = this.#size - 1; index >= 0; index -= 1) {
      const item = this.at(index) as T;
      if (!wanted(item)) continue;
      if (items.length === limit) return { items: items.reverse(), more: true };
      items.push(item);
    }
    return { items: items.reverse(), more: false };
  }
}
