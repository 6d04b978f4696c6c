import { AnitaError, CHECK_SERVER } from './errors.js';
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
  let value: unknown;
  try {
    // Messages are text; a binary frame is none.
    value = typeof frame === 'string' ? JSON.parse(frame) : undefined;
  } catch {
    return unreadable('invalid_json', 'The server sent what is not JSON.', frame);
  }
  const envelope = value as Partial<Envelope> | null;
  const payload: unknown = envelope?.payload ?? {};
  if (typeof envelope?.type !== 'string' || typeof payload !== 'object' || Array.isArray(payload)) {
    return unreadable('invalid_message', 'The server sent what is no message.', frame);
  }
  return { ...envelope, type: envelope.type, payload };
}

function unreadable(code: string, message: string, frame: unknown): AnitaError {
  return new AnitaError('parse', code, message, {
    details: { text: String(frame).slice(0, 200) },
    remedy: CHECK_SERVER,
  });
}

/** The same text with its tokens made unreadable: for logs. */
export function redact(text: string): string {
  return text.replace(/("token"\s*:\s*")(?:[^"\\]|\\.)*/g, '$1…');
}
