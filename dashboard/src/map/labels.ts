/** Keeps names from lying on each other: first come, first placed, in coarse cells of the screen. */
export class LabelPlaces {
  readonly #taken = new Set<number>();

  clear(): void {
    this.#taken.clear();
  }

  /** Takes the rectangle if nothing is there yet. */
  claim(x: number, y: number, width: number, height: number): boolean {
    const left = Math.floor(x / CELL_X);
    const right = Math.floor((x + width) / CELL_X);
    const top = Math.floor(y / CELL_Y);
    const bottom = Math.floor((y + height) / CELL_Y);
    for (let row = top; row <= bottom; row += 1) {
      for (let column = left; column <= right; column += 1) if (this.#taken.has(key(column, row))) return false;
    }
    for (let row = top; row <= bottom; row += 1) {
      for (let column = left; column <= right; column += 1) this.#taken.add(key(column, row));
    }
    return true;
  }
}

const CELL_X = 6;
const CELL_Y = 4;
const key = (column: number, row: number): number => row * 65_536 + column;
