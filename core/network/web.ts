/** @file The web's `fetch` over connections of one's own. */

import type { Socket } from 'node:net';
import type { Response } from 'undici';

/** Of the standard's `fetch` what this program uses; redirects are followed unless `redirect` says otherwise. */
export type Fetch = (url: string, options: FetchOptions) => Promise<Response>;

export interface FetchOptions {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly redirect?: 'follow' | 'error';
  /** Ends the request at any time. */
  readonly signal: AbortSignal;
}

/** @param connect opens the stream to an address, through TLS where it is https */
export function createFetch(connect: (url: URL, signal: AbortSignal) => Promise<Socket>): Fetch {
  return async (url, options) => {
    // Most commands and most sites never ask the web; they do without the time that this takes to load.
    const { Agent, fetch } = await import('undici');
    // One for each request, since a connection that is being made has to end with it.
    const dispatcher = new Agent({
      connect: ({ protocol, hostname, port }, done) => {
        const target = new URL(`${protocol}//${hostname}${port === '' ? '' : `:${port}`}`);
        connect(target, options.signal).then(
          (socket) => done(null, socket),
          (error: Error) => done(error, null),
        );
      },
    });
    return await fetch(url, { ...options, dispatcher });
  };
}
