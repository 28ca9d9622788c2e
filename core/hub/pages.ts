/** @file What the hub's port answers to plain HTTP: whether it lives, and its figures for those who know the token. */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HubMetrics } from './metrics.ts';

const plain = 'text/plain; charset=utf-8';

/** The answers; `token` is what a request for /metrics carries as `Authorization: Bearer …`. */
export function createPages(
  metrics: Pick<HubMetrics, 'render'>,
  token: string,
): (request: IncomingMessage, response: ServerResponse) => void {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const expected = digest(`Bearer ${token}`);
  const answer = (
    response: ServerResponse,
    status: number,
    { text, type = plain, headers = {} }: { text: string; type?: string; headers?: Record<string, string> },
  ): void => {
    response.writeHead(status, { 'content-type': type, connection: 'close', ...headers });
    response.end(text);
  };
  return (request, response) => {
    const { method, url, headers } = request;
    if (method === 'GET' && url === '/healthz') return answer(response, 200, { text: 'ok\n' });
    if (method === 'GET' && url === '/metrics') {
      if (!timingSafeEqual(digest(headers.authorization ?? ''), expected)) {
        const challenge = { 'www-authenticate': 'Bearer' };
        return answer(response, 401, { text: 'The token is wrong or missing.\n', headers: challenge });
      }
      metrics.render().then(
        (page) => answer(response, 200, page),
        () => answer(response, 500, { text: 'The figures cannot be read.\n' }),
      );
      return;
    }
    answer(response, 426, { text: 'This is a Tributary hub. Sites connect to it with WebSocket.\n' });
  };
}
