/**
 * Frames on their way to the page. When the page is slower than the server, a newer position of a device takes the
 * place of the older one that has not been handed over yet; everything else is kept, in order.
 */
export class Outbox {
  #frames: unknown[] = [];
  readonly #positions = new Map<string, number>();
  #replaced = 0;

  get size(): number {
    return this.#frames.length - this.#replaced;
  }

  push(frame: unknown): void {
    const device = typeof frame === 'string' ? deviceOf(frame) : undefined;
    if (device !== undefined) {
      const older = this.#positions.get(device);
      if (older !== undefined) {
        this.#frames[older] = REPLACED;
        this.#replaced += 1;
      }
      this.#positions.set(device, this.#frames.length);
    }
    this.#frames.push(frame);
  }

  /** Everything that waits, and how many positions were replaced by newer ones. */
  take(): { frames: unknown[]; replaced: number } {
    const taken = { frames: this.#frames.filter((frame) => frame !== REPLACED), replaced: this.#replaced };
    this.#frames = [];
    this.#positions.clear();
    this.#replaced = 0;
    return taken;
  }
}

const REPLACED = Symbol('replaced');
const IS_POSITION = /"type"\s*:\s*"uwb\.location"/;
const DEVICE = /"device_id"\s*:\s*"((?:[^"\\]|\\.)*)"/;
/** An answer to a request, and a numbered message, must arrive whatever comes after it. */
const MUST_ARRIVE = /"(?:id|seq)"\s*:/;

/** The device whose position the frame tells, if that is all it does. Looks only, without parsing: it runs for every frame. */
function deviceOf(frame: string): string | undefined {
  if (!IS_POSITION.test(frame) || MUST_ARRIVE.test(frame)) return undefined;
  return DEVICE.exec(frame)?.[1];
}
