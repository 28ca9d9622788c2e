/** @file An institution's proxy: HTTP CONNECT, which asks for credentials, refuses, breaks, and knows every name. */

import { createServer as createHttpServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface ConnectProxy {
  readonly port: number;
  /** What was asked for, with how it was answered, such as `hub.test:80 200`. */
  readonly asked: string[];
  /** Bytes that passed from those who connect. */
  readonly passed: () => number;
  /** Cuts every tunnel. Returns how many there were. */
  readonly cut: () => number;
  close(): Promise<void>;
}

export interface ConnectProxyOptions {
  /** Where tunnels lead, whatever host was asked for. */
  readonly port: () => number;
  /** `user:password`. */
  readonly credentials?: string;
  /** Answers instead of a tunnel. */
  readonly status?: () => number | null;
  readonly tls?: { readonly cert: string; readonly key: string };
}

export async function openConnectProxy(options: ConnectProxyOptions): Promise<ConnectProxy> {
  const asked: string[] = [];
  const open = new Set<Socket>();
  let passed = 0;
  const noTunnel: RequestListener = (_, response) => void response.writeHead(405).end();
  const server: Server =
    options.tls === undefined ? createHttpServer(noTunnel) : createHttpsServer(options.tls, noTunnel);
  const wanted = options.credentials && `Basic ${Buffer.from(options.credentials).toString('base64')}`;

  server.on('connect', (request, near: Socket, head: Buffer) => {
    near.on('error', () => undefined);
    const isKnown = wanted === undefined || request.headers['proxy-authorization'] === wanted;
    const status = isKnown ? (options.status?.() ?? 200) : 407;
    asked.push(`${request.url} ${status}`);
    if (status !== 200) {
      near.end(
        `HTTP/1.1 ${status} No\r\nproxy-authenticate: Basic realm="clinic"\r\ncontent-length: 0\r\n\r\n`,
      );
      return;
    }
    const far = connect(options.port(), '127.0.0.1', () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n');
      far.write(head);
      near.on('data', (data: Buffer) => (passed += data.length));
      near.pipe(far).pipe(near);
    });
    open.add(near);
    far.on('error', () => near.destroy());
    far.on('close', () => near.destroy());
    near.on('close', () => {
      open.delete(near);
      far.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): number => {
    const sockets = [...open];
    for (const socket of sockets) socket.destroy();
    return sockets.length;
  };
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    passed: () => passed,
    cut,
    close: async () => {
      cut();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
