/** What was sent by hand, to be sent again; it lasts as long as the page. */

export interface Sent {
  readonly type: string;
  readonly payload: string;
}

export const SENT_MAX = 50;

/** A list with a place in it, as a shell has it: up is older, down is newer, and below the newest is what was begun. */
export class SentMessages {
  #sent: Sent[] = [];
  #at = 0;
  #begun: Sent = { type: '', payload: '' };

  add(one: Sent): void {
    // A token is never kept.
    if (one.type === 'authenticate') return;
    const last = this.#sent.at(-1);
    if (last?.type !== one.type || last.payload !== one.payload) this.#sent.push(one);
    this.#sent = this.#sent.slice(-SENT_MAX);
    this.#at = this.#sent.length;
  }

  /** The one before; `undefined` at the oldest. */
  older(present: Sent): Sent | undefined {
    if (this.#at === 0) return undefined;
    if (this.#at === this.#sent.length) this.#begun = present;
    this.#at -= 1;
    return this.#sent[this.#at];
  }

  newer(): Sent | undefined {
    if (this.#at >= this.#sent.length) return undefined;
    this.#at += 1;
    return this.#at === this.#sent.length ? this.#begun : this.#sent[this.#at];
  }
}
