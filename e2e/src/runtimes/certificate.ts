import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate for 127.0.0.1, its key, and the local authority that signed it: paths of PEM files. */
export interface Certificate {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** By `openssl`, in a folder of its own. */
export function makeCertificate(folder: string): Certificate {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = ['-keyout', 'authority.key', '-out', 'authority.pem', '-subj', '/CN=authority of a test'];
  openssl('req', '-x509', ...key, ...authority, '-days', '2', '-addext', 'keyUsage=critical,keyCertSign');
  writeFileSync(join(folder, 'leaf.ext'), 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n');
  openssl('req', ...key, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/CN=127.0.0.1');
  const by = ['-CA', 'authority.pem', '-CAkey', 'authority.key', '-CAcreateserial', '-days', '1'];
  openssl('x509', '-req', '-in', 'leaf.csr', ...by, '-extfile', 'leaf.ext', '-out', 'leaf.pem');
  const path = (name: string): string => join(folder, name);
  return { authority: path('authority.pem'), certificate: path('leaf.pem'), key: path('leaf.key') };
}
