/**
 * @file Browser mode: the built window and its bridge on this machine's loopback address. `GET /…` gives the window's
 * files, which hold no secret. `POST /session` takes a one-time token out of the address that was printed and gives a
 * cookie. `/bridge` is the WebSocket: `{id, name, input}` is answered by `{id, output}` or `{id, error}`, and events
 * come as `{event, body}`. Host and Origin have to be exactly ours on everything, so that neither another site's page
 * nor a name that was bent to 127.0.0.1 gets through.
 */

import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import type { Dispatcher } from './dispatch.ts';
import { findPage } from './pages.ts';
import { SECURITY_HEADERS } from './security.ts';

/** A token that nobody has used is of no use after so long. */
const TOKEN_MINUTES = 10;
/** Open addresses and signed-in windows at most; the oldest goes first. */
const MAX_TOKENS = 8;
const MAX_SESSIONS = 16;
const MAX_SOCKETS = 16;
const MAX_TOKEN_BYTES = 200;
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** A window that does not read loses its connection. */
const MAX_UNSENT_BYTES = 32 * 1024 * 1024;
/** Close code for a window without a session; it asks for a new address. */
const CLOSE_NO_SESSION = 4401;

export interface WindowServerOptions {
  readonly dispatcher: Dispatcher;
  /** The built window. */
  readonly pages: string;
  /** 0 takes a free one. */
  readonly port?: number;
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

export interface WindowServer {
  readonly port: number;
  /** A new address with a one-time token. */
  address(): string;
  /** Windows that are connected now. */
  windows(): number;
  close(): Promise<void>;
}

const questionShape = z.object({ id: z.int().min(0), name: z.unknown(), input: z.unknown() });

/** Opens the server. Throws `bridge.address-in-use` where another program listens, else what the system throws. */
export async function serveWindow(options: WindowServerOptions): Promise<WindowServer> {
  const { dispatcher, pages, now = Date.now } = options;
  /** Hashes only: what was printed and what the browser keeps is nowhere else. */
  const tokens = new Map<string, number>();
  const sessions = new Set<string>();
  const server = createServer((request, response) => void respond(request, response));
  server.headersTimeout = 10_000;
  server.requestTimeout = 10_000;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  });
  await listen(server, options.port ?? 0);
  const { port } = server.address() as AddressInfo;
  const host = `127.0.0.1:${port}`;
  const origin = `http://${host}`;
  // Cookies know no ports: each server needs a name of its own.
  const cookie = `tributary-${port}`;
  const stopListening = dispatcher.listen((event, body) => {
    const text = JSON.stringify({ event, body });
    for (const socket of sockets.clients) send(socket, text);
  });

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    response.setHeader('Cache-Control', 'no-store');
    const path = (request.url ?? '/').split(/[?#]/, 1)[0];
    if (request.headers.host !== host) return end(response, 421);
    // A page's own files are asked for without Origin; where one is told, it has to be ours.
    if (request.headers.origin !== undefined && request.headers.origin !== origin) return end(response, 403);
    if (path === '/session') return signIn(request, response);
    if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405);
    const page = await findPage(pages, path);
    if (page === null) return end(response, 404);
    response.writeHead(200, { 'Content-Type': page.type, 'Content-Length': page.content.length });
    response.end(request.method === 'HEAD' ? undefined : page.content);
  }

  async function signIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') return end(response, 405);
    if (request.headers.origin !== origin) return end(response, 403);
    const token = await readText(request);
    const known = token === null ? undefined : tokens.get(hash(token));
    if (token !== null) tokens.delete(hash(token));
    if (known === undefined || known < now()) return end(response, 403);
    const session = randomBytes(32).toString('base64url');
    remember(sessions, hash(session), MAX_SESSIONS);
    response.setHeader('Set-Cookie', `${cookie}=${session}; HttpOnly; SameSite=Strict; Path=/`);
    end(response, 204);
  }

  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on('error', () => stream.destroy());
    const refused =
      request.headers.host !== host
        ? 421
        : request.headers.origin !== origin
          ? 403
          : request.url !== '/bridge'
            ? 404
            : sockets.clients.size >= MAX_SOCKETS
              ? 503
              : null;
    if (refused !== null) {
      stream.end(`HTTP/1.1 ${refused} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => {
      socket.on('error', () => socket.terminate());
      const session = cookieOf(request, cookie);
      if (session === null || !sessions.has(hash(session))) socket.close(CLOSE_NO_SESSION, 'no session');
      else serve(socket);
    });
  });

  function serve(socket: WebSocket): void {
    socket.on('message', (data, isBinary) => {
      const question = isBinary || !Buffer.isBuffer(data) ? null : readQuestion(data.toString('utf8'));
      if (question === null) {
        socket.close(1007, 'not a question');
        return;
      }
      const { id, name, input } = question;
      void dispatcher.answer(name, input).then((answer) => send(socket, JSON.stringify({ id, ...answer })));
    });
  }

  return {
    port,
    address: () => {
      const token = randomBytes(32).toString('base64url');
      tokens.set(hash(token), now() + TOKEN_MINUTES * 60_000);
      for (const known of [...tokens.keys()].slice(0, -MAX_TOKENS)) tokens.delete(known);
      return `${origin}/#token=${token}`;
    },
    windows: () => sockets.clients.size,
    close: async () => {
      stopListening();
      for (const socket of sockets.clients) socket.terminate();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => {
      if (error.code !== 'EADDRINUSE') reject(error);
      else
        reject(
          new TributaryError('bridge.address-in-use', `Another program listens on port ${port} already.`),
        );
    };
    server.once('error', refuse);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', refuse);
      resolve();
    });
  });
}

function send(socket: WebSocket, text: string): void {
  if (socket.readyState !== socket.OPEN) return;
  socket.send(text);
  if (socket.bufferedAmount > MAX_UNSENT_BYTES) socket.terminate();
}

function readQuestion(text: string): z.infer<typeof questionShape> | null {
  try {
    return questionShape.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** The body of a request, or null where it is longer than any token. */
async function readText(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of request as AsyncIterable<Buffer>) {
      parts.push(part);
      size += part.length;
      if (size > MAX_TOKEN_BYTES) return null;
    }
  } catch {
    return null;
  }
  return Buffer.concat(parts).toString('utf8');
}

function cookieOf(request: IncomingMessage, name: string): string | null {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const [key, value] = part.trim().split('=', 2);
    if (key === name) return value ?? null;
  }
  return null;
}

function remember(known: Set<string>, entry: string, most: number): void {
  known.add(entry);
  for (const old of [...known].slice(0, -most)) known.delete(old);
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'Content-Length': 0 });
  response.end();
}
