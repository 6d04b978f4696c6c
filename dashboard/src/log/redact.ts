/** Takes secrets out of a text before it is kept: a log is shown on shared screens and pasted into tickets. */

export const REDACTED = '[redacted]';

const JWT = /eyJ[\w-]{4,}\.[\w-]*\.?[\w-]*/g;
const BEARER = /\b(bearer[ .])[\w.~+/=-]{8,}/gi;
const MEMBER = /("(?:[a-z_]*token|authorization|password|secret|cookie)"\s*:\s*)"(?:[^"\\]|\\.)*"?/gi;
const QUERY = /([?&#](?:access_)?token=)[^&#\s"]+/gi;
const SUSPECT = /eyJ|token|bearer|password|secret|authorization|cookie/i;

export function redact(text: string): string {
  if (!SUSPECT.test(text)) return text;
  return text
    .replace(MEMBER, `$1"${REDACTED}"`)
    .replace(QUERY, `$1${REDACTED}`)
    .replace(BEARER, `$1${REDACTED}`)
    .replace(JWT, REDACTED);
}
