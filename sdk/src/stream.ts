import type { AnitaClient } from './client.js';
import type { EnvelopeOf } from './envelope.js';
import { rooms } from './rooms.js';
import type { ServerMessages } from './wire.gen.js';

export interface StreamOptions<Type extends keyof ServerMessages> {
  /** A room to be in while the loop runs. */
  room?: string | undefined;
  /**
   * What is done with messages that come faster than the loop takes them. `latest`: of each device (or of all messages
   * that name none) the newest; `drop-oldest`: the newest `limit` of them; `unbounded`: all, however many.
   * @default 'drop-oldest'
   */
  policy?: 'latest' | 'drop-oldest' | 'unbounded' | undefined;
  /** The most that wait for the loop; the oldest go first. Not for `unbounded`. @default 10_000 */
  limit?: number | undefined;
  /** Which messages. */
  filter?: ((payload: ServerMessages[Type], envelope: EnvelopeOf<Type>) => boolean) | undefined;
  /** Ends the loop. */
  signal?: AbortSignal | undefined;
}

/**
 * The messages of a type, for `for await`. It goes on through reconnects, and ends when the client is closed; when the
 * client fails for good, the loop throws its error. Leaving the loop leaves the room.
 */
export async function* stream<Type extends keyof ServerMessages>(
  client: AnitaClient,
  type: Type,
  options: StreamOptions<Type> = {},
): AsyncGenerator<ServerMessages[Type], void> {
  const { room, policy = 'drop-oldest', limit = 10_000, filter, signal } = options;
  const waiting = new Map<unknown, ServerMessages[Type]>();
  let count = 0;
  let wake = (): void => undefined;
  const take = (payload: ServerMessages[Type], envelope: EnvelopeOf<Type>): void => {
    if (filter && !filter(payload, envelope)) return;
    const { device_id: id = '' } = payload as { device_id?: string };
    waiting.set(policy === 'latest' ? id : ++count, payload);
    if (policy !== 'unbounded' && waiting.size > limit) waiting.delete(waiting.keys().next().value);
    wake();
  };
  const ended = new AbortController();
  const end = { signal: ended.signal };
  client.on(type as 'uwb.location', take as unknown as () => void, end);
  client.on(
    'state',
    () => {
      wake();
    },
    end,
  );
  signal?.addEventListener(
    'abort',
    () => {
      wake();
    },
    end,
  );
  let isIn = false;
  try {
    if (room !== undefined) {
      await rooms(client).join(room);
      isIn = true;
    }
    while (!signal?.aborted) {
      const next = waiting.entries().next();
      if (!next.done) {
        waiting.delete(next.value[0]);
        yield next.value[1];
      } else if (client.state === 'failed') {
        throw client.error ?? new Error('failed');
      } else if (client.state === 'closed') {
        return;
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  } finally {
    ended.abort();
    if (isIn && room !== undefined)
      rooms(client)
        .leave(room)
        .catch(() => undefined);
  }
}
