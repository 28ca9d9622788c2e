/** @file What a page of ours may not do, whatever gets into it: go elsewhere, open windows, load from elsewhere, ask for devices. */

import type { Session, WebContents } from 'electron';
import { isOurPage, isOurs } from './origin.ts';

/** A notice and a copied line; everything else that a page could ask the system for is denied. */
const ALLOWED: ReadonlySet<string> = new Set(['clipboard-sanitized-write', 'notifications']);

/** No other page, no other window, no frame, no webview; no address is ever handed to the browser of the system. */
export function guardContents(contents: Pick<WebContents, 'on' | 'setWindowOpenHandler'>): void {
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
  contents.on('will-attach-webview', (event) => event.preventDefault());
  const stay = (event: {
    readonly url: string;
    readonly isMainFrame: boolean;
    preventDefault(): void;
  }): void => {
    if (!event.isMainFrame || !isOurPage(event.url)) event.preventDefault();
  };
  contents.on('will-navigate', stay);
  contents.on('will-frame-navigate', stay);
  contents.on('will-redirect', stay);
}

export type GuardedSession = Pick<
  Session,
  | 'setPermissionRequestHandler'
  | 'setPermissionCheckHandler'
  | 'setDevicePermissionHandler'
  | 'setSpellCheckerEnabled'
  | 'webRequest'
  | 'on'
>;

export function guardSession(session: GuardedSession): void {
  session.setPermissionRequestHandler((_, permission, answer, { requestingUrl, isMainFrame }) =>
    answer(isMainFrame && isOurs(requestingUrl) && ALLOWED.has(permission)),
  );
  session.setPermissionCheckHandler(
    (_, permission, origin, { isMainFrame }) => isMainFrame && isOurs(origin) && ALLOWED.has(permission),
  );
  session.setDevicePermissionHandler(() => false);
  // Its dictionaries would be fetched from a server of others.
  session.setSpellCheckerEnabled(false);
  session.webRequest.onBeforeRequest(({ url, resourceType }, answer) => {
    const isPicture = resourceType === 'image' && url.startsWith('data:');
    answer({ cancel: !isOurs(url) && !isPicture });
  });
  session.on('will-download', (event) => event.preventDefault());
}
