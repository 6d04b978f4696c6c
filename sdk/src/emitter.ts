/** How long to listen. */
export interface ListenOptions {
  /** Stops listening when it aborts. */
  signal?: AbortSignal;
  /** Stops listening after the first event. */
  once?: boolean;
}

type Handler<Args extends unknown[]> = (...args: Args) => unknown;

/**
 * Tells handlers what happened. Events that arise while others are being told wait their turn, so that everybody hears
 * them in the order in which they happened. What a handler throws is reported and hurts nobody else.
 */
export class Emitter<Events extends { [Type in keyof Events]: unknown[] }> {
  readonly #handlers = new Map<keyof Events, Set<Handler<never>>>();
  readonly #queue: (() => void)[] = [];

  on<Type extends keyof Events>(type: Type, handler: Handler<Events[Type]>, options: ListenOptions = {}): () => void {
    const { signal, once } = options;
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers);
    const off = (): void => {
      handlers.delete(listener);
      signal?.removeEventListener('abort', off);
    };
    const listener: Handler<Events[Type]> = (...args) => {
      if (once) off();
      return handler(...args);
    };
    if (!signal?.aborted) handlers.add(listener);
    signal?.addEventListener('abort', off);
    return off;
  }

  /** Tells all handlers; `false` when there are none. */
  emit<Type extends keyof Events>(type: Type, ...args: Events[Type]): boolean {
    const handlers = this.#handlers.get(type) as Set<Handler<Events[Type]>> | undefined;
    if (!handlers?.size) return false;
    const queue = this.#queue;
    queue.push(() => {
      for (const handler of [...handlers]) {
        // An earlier handler of this event may have taken this one away.
        if (handlers.has(handler)) run(() => handler(...args), type);
      }
    });
    // What is being told stands first: whoever finds something there leaves the rest to whoever tells.
    if (queue.length < 2) for (; queue[0]; queue.shift()) queue[0]();
    return true;
  }
}

/** Failures of a handler, now or later, are reported and go no further. */
function run(task: () => unknown, type: PropertyKey): void {
  new Promise((resolve) => {
    resolve(task());
  }).catch((thrown: unknown) => {
    console.error('anita: a handler failed:', type, thrown);
  });
}
