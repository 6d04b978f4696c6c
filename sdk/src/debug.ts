import type { AnitaClient } from './client.js';
import { redact } from './envelope.js';

/**
 * Shows every frame that goes in or out, tokens made unreadable, and every change of state; the answer stops it.
 * `debug(client, console.debug)`
 */
export function debug(
  client: Pick<AnitaClient, 'on'>,
  log: (what: 'in' | 'out' | 'state' | 'error', text: string) => unknown,
): () => void {
  const end = new AbortController();
  const { signal } = end;
  client.on('message', (_, text) => log('in', redact(text)), { signal });
  client.on('sent', (text) => log('out', text), { signal });
  client.on('state', (now, was) => log('state', `${was} → ${now}`), { signal });
  client.on('error', ({ kind, code, message }) => log('error', redact(`${kind} ${code}: ${message}`)), { signal });
  return () => {
    end.abort();
  };
}
