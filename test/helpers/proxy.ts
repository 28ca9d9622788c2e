/** @file A TCP proxy that is as slow and as unreliable as it is told to be, and counts what passes. */

import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface Proxy {
  readonly port: number;
  /** Bytes taken from those who connect, and from the port behind. */
  readonly bytes: { up: number; down: number };
  /** What those who connected have sent, part by part; of the first 100 kB. */
  readonly recorded: Buffer[];
  /** Cuts every connection. Returns how many there were. */
  readonly cut: () => number;
  close(): Promise<void>;
}

/** Passes connections on to `port()`, each direction at most so many bytes a second. */
export async function openProxy(port: () => number, bytesPerSecond = Infinity): Promise<Proxy> {
  const bytes = { up: 0, down: 0 };
  const recorded: Buffer[] = [];
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port(), '127.0.0.1');
    for (const [from, to, way] of [
      [near, far, 'up'],
      [far, near, 'down'],
    ] as const) {
      open.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
      from.on('data', (data: Buffer) => {
        bytes[way] += data.length;
        if (way === 'up' && bytes.up < 100_000) recorded.push(data);
        from.pause();
        const pass = (): void => {
          to.write(data);
          from.resume();
        };
        setTimeout(pass, (data.length / bytesPerSecond) * 1000);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): number => {
    const sockets = [...open];
    for (const socket of sockets) socket.destroy();
    return sockets.length / 2;
  };
  return {
    port: (server.address() as AddressInfo).port,
    bytes,
    recorded,
    cut,
    close: async () => {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
