import { fault, type AnitaError } from './errors.js';
import type { ServerMessages } from './wire.gen.js';

/** One message as it is on the wire. Other members of the top level are kept as they came. */
export interface Envelope<Type extends string = string, Payload = unknown> {
  type: Type;
  payload: Payload;
  /** The id of the request that this answers. */
  id?: string | number;
  /** The subscription that positions are of. */
  subscription?: string;
  /** The playback that this is of: nothing of it is live. */
  playback?: string;
  /** Where a numbered message stands: in its room, or among all fixes. */
  room?: string;
  epoch?: string;
  seq?: number;
}

/** The envelope of a message that the protocol knows. */
export type EnvelopeOf<Type extends keyof ServerMessages> = Envelope<Type, ServerMessages[Type]>;

/** Reads one frame. A missing payload is an empty one. */
export function decode(frame: unknown): Envelope | AnitaError {
  let code = 'invalid_json';
  try {
    // Messages are text; a binary frame is none.
    const envelope = JSON.parse(typeof frame === 'string' ? frame : '') as Partial<Envelope> | null;
    const payload: unknown = envelope?.payload ?? {};
    code = 'invalid_message';
    if (typeof envelope?.type === 'string' && typeof payload === 'object' && !Array.isArray(payload)) {
      return { ...envelope, type: envelope.type, payload };
    }
  } catch {
    // Told below.
  }
  return fault(code, 'parse', { details: { text: String(frame).slice(0, 200) } });
}

/** The same text with its tokens made unreadable: for logs. */
export function redact(text: string): string {
  return text.replace(/("token"\s*:\s*")(?:[^"\\]|\\.)*/g, '$1…');
}
