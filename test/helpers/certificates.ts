/** @file An authority of one's own and certificates of it, made by the OpenSSL of this machine. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];

/** Whether certificates can be made here. */
export function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Makes an authority in a folder, and a certificate of it for these names, such as `DNS:hub.test`. */
export function makeCertificate(
  folder: string,
  names: readonly string[],
): { readonly authority: string; readonly cert: string; readonly key: string } {
  const at = (name: string): string => join(folder, name);
  const openssl = (...options: string[]): void =>
    void execFileSync('openssl', ['req', '-x509', ...EC, ...options], { stdio: 'pipe' });
  openssl('-subj', '/CN=Clinic authority', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  openssl(
    ...['-subj', '/CN=leaf', '-addext', `subjectAltName=${names.join(',')}`],
    ...['-addext', 'basicConstraints=critical,CA:FALSE', '-CA', at('ca.pem'), '-CAkey', at('ca.key')],
    ...['-keyout', at('leaf.key'), '-out', at('leaf.pem')],
  );
  return {
    authority: at('ca.pem'),
    cert: readFileSync(at('leaf.pem'), 'utf8'),
    key: readFileSync(at('leaf.key'), 'utf8'),
  };
}
