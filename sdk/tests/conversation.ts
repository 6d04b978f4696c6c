import { expect } from 'vitest';
import { WebSocket } from 'ws';
import {
  AnitaClient,
  rooms,
  subscribe,
  type AnitaError,
  type ClientOptions,
  type Gap,
  type RequestOptions,
  type State,
  type Subscription,
} from '../src/index.js';
import { Program } from './program.js';

const WAIT_MS = 60_000;

/** A request, and what came of it. */
interface Asked {
  outcome?: { readonly answer: unknown } | { readonly error: AnitaError };
}

/** An application of the script: its client, and what it was told and did not look at yet. */
interface Actor {
  readonly client: AnitaClient;
  readonly heard: { readonly type: string; readonly payload: unknown }[];
  readonly gaps: Gap[];
  readonly asked: Asked[];
  readonly views: Map<string, Subscription>;
  hellos: number;
  tokens: number;
}

type Play = (conversation: Conversation, ...words: string[]) => unknown;

/** The sentences of conformance/client/README.md. */
const sentences: readonly (readonly [RegExp, Play])[] = [
  [/^server stops$/, (it) => it.program.stop('SIGTERM')],
  [/^server starts$/, (it) => it.program.start()],
  [/^server is killed$/, (it) => it.program.stop('SIGKILL')],
  [/^report (.+)$/, (it, item) => it.program.post('/api/v1/locations', 'publisher', JSON.parse(item))],
  [/^revoke (\w+)$/, (it, subject) => it.program.post('/api/v1/revocations', 'admin', { subject })],
  [
    /^(\w+) connects again$/,
    (it, name) =>
      void it
        .actor(name)
        .client.connect()
        .catch(() => undefined),
  ],
  [/^(\w+) connects (\S+) (\w+)(.*)$/, (it, name, path, role, more) => it.connect(name, path, role, more)],
  [/^(\w+) closes$/, (it, name) => it.actor(name).client.close()],
  [
    /^(\w+) was online (\d+) times$/,
    (it, name, times) =>
      wait(
        () => it.actor(name).hellos,
        (count) => count === Number(times),
      ),
  ],
  [
    /^(\w+) gave (\d+) tokens$/,
    (it, name, times) =>
      wait(
        () => it.actor(name).tokens,
        (count) => count >= Number(times),
      ),
  ],
  [
    /^(\w+) is (online|waiting|failed|closed)$/,
    (it, name, state) =>
      wait(
        () => it.actor(name).client.state,
        (now) => now === (state as State),
      ),
  ],
  [/^(\w+) asks (\S+) (.+)$/, (it, name, type, payload) => ask(it.actor(name), type, JSON.parse(payload))],
  [/^(\w+) gets (.+)$/, async (it, name, pattern) => fits(await answerOf(it.actor(name)), JSON.parse(pattern))],
  [
    /^(\w+) is refused (\S+)(?: (.+))?$/,
    async (it, name, code, pattern) => {
      const error = await errorOf(it.actor(name));
      expect([error.kind === 'connection' || error.kind === 'validation', error.code]).toEqual([false, code]);
      if (pattern) fits(error.details, JSON.parse(pattern));
    },
  ],
  [/^(\w+) is not answered (\S+)$/, async (it, name, code) => expect((await errorOf(it.actor(name))).code).toBe(code)],
  [/^(\w+) joins (\S+)$/, (it, name, room) => rooms(it.actor(name).client).join(room)],
  [/^(\w+) leaves (\S+)$/, (it, name, room) => rooms(it.actor(name).client).leave(room)],
  [
    /^(\w+) hears no (\S+)$/,
    async (it, name, type) => {
      await it.actor(name).client.request('ping', {});
      expect(it.actor(name).heard.filter((told) => told.type === type)).toEqual([]);
    },
  ],
  [
    /^(\w+) hears (\S+) (.+)$/,
    async (it, name, type, pattern) => {
      const { heard } = it.actor(name);
      const at = await wait(
        () => heard.findIndex((told) => told.type === type),
        (index) => index >= 0,
      );
      fits(heard.splice(at, 1)[0]?.payload, JSON.parse(pattern));
    },
  ],
  [
    /^(\w+) misses (.+)$/,
    async (it, name, pattern) => {
      const { gaps } = it.actor(name);
      await wait(
        () => gaps.length,
        (count) => count > 0,
      );
      fits(gaps.shift(), JSON.parse(pattern));
    },
  ],
  [
    /^(\w+) opens (\w+) (.+)$/,
    (it, name, view, options) => {
      const { client, views } = it.actor(name);
      views.set(view, subscribe(client, JSON.parse(options) as object));
    },
  ],
  [
    /^(\w+) sees (\w+) (\S+) at (.+)$/,
    (it, name, view, id, location) =>
      wait(
        () => it.view(name, view).devices.get(id)?.location,
        (now) => isFit(now, JSON.parse(location)),
      ),
  ],
  [
    /^(\w+) sees (\w+) (\[.*\])$/,
    (it, name, view, ids) => {
      const wanted = JSON.stringify((JSON.parse(ids) as string[]).sort());
      return wait(
        () => JSON.stringify([...it.view(name, view).devices.keys()].sort()),
        (now) => now === wanted,
      );
    },
  ],
  [/^(\w+) ends (\w+)$/, (it, name, view) => it.view(name, view).close()],
  [
    /^(\w+) fails with (\S+)$/,
    async (it, name, code) => {
      const { client } = it.actor(name);
      await wait(
        () => client.state,
        (state) => state === 'failed',
      );
      expect(client.error?.code).toBe(code);
    },
  ],
];

/** Plays one script. */
export class Conversation {
  readonly program: Program;
  readonly #actors = new Map<string, Actor>();

  private constructor(program: Program) {
    this.program = program;
  }

  static async begin(bin: string): Promise<Conversation> {
    const program = await Program.make(bin);
    await program.start();
    return new Conversation(program);
  }

  async play(sentence: string): Promise<void> {
    for (const [pattern, play] of sentences) {
      const [found, ...words] = pattern.exec(sentence) ?? [];
      if (found === undefined) continue;
      await play(this, ...words);
      return;
    }
    throw new Error('no such sentence');
  }

  async end(): Promise<void> {
    for (const { client } of this.#actors.values()) client.close();
    await this.program.remove();
  }

  actor(name: string | undefined): Actor {
    const actor = this.#actors.get(String(name));
    if (!actor) throw new Error(`nobody is called ${String(name)}`);
    return actor;
  }

  view(name: string | undefined, view: string | undefined): Subscription {
    const found = this.actor(name).views.get(String(view));
    if (!found) throw new Error(`there is no view ${String(view)}`);
    return found;
  }

  async connect(name: string, path: string, role: string, more: string): Promise<void> {
    const args: string[] = [];
    let kind = 'fresh';
    for (const word of more.split(' ').filter(Boolean)) {
      const [key = '', value = ''] = word.split('=');
      if (key === 'token') kind = value;
      else args.push(`--${key}`, value);
    }
    const fresh = (): Promise<string> => this.program.token(name, role, args);
    let token: ClientOptions['token'];
    if (kind === 'broken') token = () => 'not.a.token';
    else if (kind === 'static') token = await fresh();
    else {
      token = () => {
        actor.tokens++;
        return fresh();
      };
    }
    const client = new AnitaClient(this.program.ws + path, { WebSocket, token, network: null });
    const actor: Actor = { client, heard: [], gaps: [], asked: [], views: new Map(), hellos: 0, tokens: 0 };
    this.#actors.set(name, actor);
    client.on('open', () => actor.hellos++);
    client.on('message', ({ type, payload, id, subscription }) => {
      // What answers a request, or is of a view, the application is told of there.
      if ((id === undefined || type === 'system.token_refreshed') && subscription === undefined)
        actor.heard.push({ type, payload });
    });
    rooms(client).on('gap', (gap) => actor.gaps.push(gap));
    client.connect().catch(() => undefined);
  }
}

function ask(actor: Actor, type: string, payload: unknown): void {
  const asked: Asked = {};
  actor.asked.push(asked);
  const request = actor.client.request.bind(actor.client) as (
    type: string,
    payload: unknown,
    options?: RequestOptions,
  ) => Promise<unknown>;
  request(type, payload, { timeoutMs: WAIT_MS }).then(
    (answer) => (asked.outcome = { answer }),
    (error: unknown) => (asked.outcome = { error: error as AnitaError }),
  );
}

async function outcomeOf({ asked }: Actor): Promise<NonNullable<Asked['outcome']>> {
  const oldest = asked.shift();
  if (!oldest) throw new Error('nothing was asked');
  return (await wait(
    () => oldest.outcome,
    (outcome) => outcome !== undefined,
  ))!;
}

async function answerOf(actor: Actor): Promise<unknown> {
  const outcome = await outcomeOf(actor);
  if ('error' in outcome) throw outcome.error;
  return outcome.answer;
}

async function errorOf(actor: Actor): Promise<AnitaError> {
  const outcome = await outcomeOf(actor);
  if ('answer' in outcome) throw new Error(`it was answered: ${JSON.stringify(outcome.answer)}`);
  return outcome.error;
}

/** Waits for a value that is right; what it was last is told when there is none in time. */
async function wait<T>(look: () => T, isRight: (value: T) => boolean): Promise<T> {
  for (const end = Date.now() + WAIT_MS; ;) {
    const value = look();
    if (isRight(value)) return value;
    if (Date.now() > end) throw new Error(`waited for ${WAIT_MS} ms; now it is ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function fits(value: unknown, pattern: unknown): void {
  if (!isFit(value, pattern)) throw new Error(`${JSON.stringify(value)} does not fit ${JSON.stringify(pattern)}`);
}

function isFit(value: unknown, pattern: unknown): boolean {
  if (pattern === '…') return value !== undefined;
  if (typeof pattern !== 'object' || pattern === null) return value === pattern;
  if (typeof value !== 'object' || value === null || Array.isArray(value) !== Array.isArray(pattern)) return false;
  if (Array.isArray(pattern) && pattern.length !== (value as unknown[]).length) return false;
  return Object.entries(pattern).every(([name, each]) => isFit((value as Record<string, unknown>)[name], each));
}
