/** @file What belongs to the window: its own scheme and host, and nothing else. */

export const SCHEME = 'app';
const HOST = 'tributary';

/** The one page. */
export const PAGE = `${SCHEME}://${HOST}/`;

/** Whether an address is one of the window's own files. */
export function isOurs(address: string): boolean {
  const url = parse(address);
  return url?.protocol === `${SCHEME}:` && url.host === HOST && url.username === '' && url.password === '';
}

/** Whether an address is the window's page, whatever screen of it is shown. */
export function isOurPage(address: string): boolean {
  return isOurs(address) && ['/', '/index.html'].includes(new URL(address).pathname);
}

function parse(address: string): URL | null {
  try {
    return new URL(address);
  } catch {
    return null;
  }
}
