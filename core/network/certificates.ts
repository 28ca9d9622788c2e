/** @file Whose certificates are believed: the authorities that come with Node, the system's, the institution's. */

import { readFileSync } from 'node:fs';
import * as tls from 'node:tls';
import type { SecureContext } from 'node:tls';
import { TributaryError } from '../errors.ts';

/** Newer versions of Node read the system's store; the types here are of the oldest one that is supported. */
const { getCACertificates } = tls as {
  readonly getCACertificates?: (store: 'default' | 'system') => string[];
};

/** Contexts for TLS by the institution's file. */
export function createTrust(): { readonly context: (file: string | null) => SecureContext } {
  let last: { readonly pem: string; readonly context: SecureContext } | undefined;
  return {
    context: (file) => {
      const pem = file === null ? '' : readCertificates(file);
      if (last?.pem !== pem) last = { pem, context: tls.createSecureContext({ ca: authorities(pem) }) };
      return last.context;
    },
  };
}

/** Undefined is what Node itself believes, NODE_EXTRA_CA_CERTS included, which a list would leave out. */
function authorities(pem: string): string[] | undefined {
  if (getCACertificates !== undefined) {
    return [...new Set([...getCACertificates('default'), ...getCACertificates('system')]), ...listed(pem)];
  }
  if (pem === '') return undefined;
  const extra = process.env['NODE_EXTRA_CA_CERTS'];
  return [...tls.rootCertificates, ...(extra === undefined ? [] : [readCertificates(extra)]), pem];
}

const listed = (pem: string): string[] => (pem === '' ? [] : [pem]);

function readCertificates(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new TributaryError('network.certificates', `The certificates in ${file} cannot be read.`, {
      cause,
    });
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new TributaryError('network.certificates', `${file} holds no certificate in PEM form.`);
}
