/** @file The scheme `app://`: the built window's files, with the same headers as from the loopback server. */

import type { Protocol } from 'electron';
import { findPage } from '../../core/bridge/pages.ts';
import { SECURITY_HEADERS } from '../../core/bridge/security.ts';
import { isOurs, SCHEME } from './origin.ts';

/** Before Electron is ready: a scheme with an origin of its own, as secure as https. */
export function declareScheme(protocol: Pick<Protocol, 'registerSchemesAsPrivileged'>): void {
  const privileges = { standard: true, secure: true, supportFetchAPI: true, codeCache: true };
  protocol.registerSchemesAsPrivileged([{ scheme: SCHEME, privileges }]);
}

/** @param folder of the built window */
export function servePages(protocol: Pick<Protocol, 'handle'>, folder: string): void {
  protocol.handle(SCHEME, async ({ url, method }) => {
    const end = (status: number): Response => new Response(null, { status, headers: SECURITY_HEADERS });
    if (!isOurs(url)) return end(404);
    if (method !== 'GET' && method !== 'HEAD') return end(405);
    const page = await findPage(folder, new URL(url).pathname);
    if (page === null) return end(404);
    const headers = { ...SECURITY_HEADERS, 'Content-Type': page.type };
    return new Response(method === 'HEAD' ? null : new Uint8Array(page.content), { headers });
  });
}
