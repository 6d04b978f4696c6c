import { batch, signal } from '@preact/signals';

import { Problem } from '../../session';

/**
 * What a page shows of the server: asked for once, or again and again. It stops asking while nobody looks, while
 * somebody holds it, and after an error, until somebody wants to try again.
 */
export class Feed<T> {
  readonly data = signal<T | null>(null);
  readonly problem = signal<Problem | null>(null);
  readonly busy = signal(false);
  /** Somebody wants to read in peace. */
  readonly held = signal(false);
  /** When the data came, on this computer's clock. */
  readonly at = signal<number | null>(null);

  readonly #load: (stop: AbortSignal) => Promise<T>;
  readonly #everyMs: number | undefined;
  readonly #isHidden: () => boolean;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: AbortController | undefined;
  #isOpen = false;

  constructor(load: (stop: AbortSignal) => Promise<T>, everyMs?: number, isHidden = (): boolean => document.hidden) {
    this.#load = load;
    this.#everyMs = everyMs;
    this.#isHidden = isHidden;
  }

  /** Asks from now on; ends with what it returns. */
  open(): () => void {
    this.#isOpen = true;
    void this.reload();
    return () => {
      this.#isOpen = false;
      this.#stop();
    };
  }

  /** Asks at once, whatever it waited for. */
  async reload(): Promise<void> {
    this.#stop();
    if (!this.#isOpen) return;
    const asking = (this.#asking = new AbortController());
    this.busy.value = true;
    try {
      const data = await this.#load(asking.signal);
      if (asking !== this.#asking) return;
      batch(() => {
        this.data.value = data;
        this.at.value = Date.now();
        this.problem.value = null;
        this.busy.value = false;
      });
      this.#next();
    } catch (error) {
      if (asking !== this.#asking) return;
      this.#asking = undefined;
      batch(() => {
        this.problem.value = asProblem(error);
        // What may not be seen any more is not shown any more.
        if (isForbidden(this.problem.value)) this.data.value = null;
        this.busy.value = false;
      });
    }
  }

  hold(held: boolean): void {
    this.held.value = held;
    if (held) this.#stop();
    else void this.reload();
  }

  /** Somebody looks at the page, or does not any more. */
  looked(): void {
    if (this.#isHidden()) clearTimeout(this.#timer);
    else if (!this.#mayNotAsk() && this.#everyMs !== undefined && this.#asking === undefined) void this.reload();
  }

  #next(): void {
    this.#asking = undefined;
    if (this.#everyMs === undefined || this.#mayNotAsk()) return;
    this.#timer = setTimeout(() => void this.reload(), this.#everyMs);
  }

  #mayNotAsk(): boolean {
    return !this.#isOpen || this.held.value || this.problem.value !== null || this.#isHidden();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#asking = undefined;
    this.busy.value = false;
  }
}

export const isForbidden = (problem: Problem | null): boolean => problem?.status === 403 || problem?.status === 401;

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, 'internal', String(error), 'Reload the page; if it stays, report it.');
}
