import type { FromRelay, ToRelay } from './messages';
import { Outbox } from './outbox';

/**
 * Holds the WebSocket away from the page. A browser wakes the thread of a socket for every frame; with thousands of
 * frames a second the page would do nothing else. Here they are gathered, and handed over a few times a second; the
 * next ones only after the page has worked through the last.
 */

/** A batch of so many frames or more shows that the rate is high; then they are gathered for longer. */
const BUSY_FRAMES = 40;
const BUSY_MS = 50;

class Line {
  readonly #id: number;
  readonly #socket: WebSocket;
  readonly #outbox = new Outbox();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isPageBusy = false;
  #lastBatch = 0;

  constructor(id: number, url: string, protocols: string) {
    this.#id = id;
    this.#socket = new WebSocket(url, protocols);
    this.#socket.onopen = () => {
      tell({ type: 'opened', socket: id });
    };
    this.#socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      this.#outbox.push(data);
      this.#schedule();
    };
    this.#socket.onclose = ({ code, reason }) => {
      this.#flush();
      tell({ type: 'closed', socket: id, code, reason });
      lines.delete(id);
    };
  }

  send(text: string): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  close(code: number | undefined): void {
    this.#socket.close(code);
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
  }

  /** The page is free again. */
  done(): void {
    this.#isPageBusy = false;
    if (this.#outbox.size > 0) this.#schedule();
  }

  #schedule(): void {
    if (this.#isPageBusy || this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#flush();
      },
      this.#lastBatch >= BUSY_FRAMES ? BUSY_MS : 0,
    );
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#outbox.size === 0) return;
    const { frames, replaced } = this.#outbox.take();
    this.#lastBatch = frames.length;
    this.#isPageBusy = true;
    tell({ type: 'frames', socket: this.#id, frames, replaced });
  }
}

const lines = new Map<number, Line>();

function tell(message: FromRelay): void {
  postMessage(message);
}

addEventListener('message', ({ data }: MessageEvent<ToRelay>) => {
  const line = lines.get(data.socket);
  switch (data.type) {
    case 'open':
      lines.set(data.socket, new Line(data.socket, data.url, data.protocols));
      break;
    case 'send':
      line?.send(data.text);
      break;
    case 'close':
      line?.close(data.code);
      break;
    case 'drop':
      line?.drop();
      lines.delete(data.socket);
      break;
    case 'done':
      line?.done();
  }
});
tell({ type: 'ready' });
