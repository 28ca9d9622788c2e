/** @file One sealed socket of a replay: recorded bytes go out as they are, what arrives is waited for by its type. */

import { once } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { WebSocket } from 'ws';
import type { RawData } from 'ws';
import { openFrame, sealFrame } from '../../core/federation/framing.ts';
import { offerHandshake } from '../../core/federation/handshake.ts';
import type { Introduction } from '../../core/federation/handshake.ts';
import { decodeMessage } from '../../core/federation/messages.ts';
import type { Message, Party, SocketRole } from '../../core/federation/messages.ts';
import type { Transport } from '../../core/federation/noise.ts';
import { comparable, isIncidental } from './recording.ts';

const PATIENCE_MILLISECONDS = 20_000;

export interface Line {
  send(bytes: Uint8Array): void;
  /** A message that says the same but for what varies; others stay for those who wait for them. */
  next(like: Message): Promise<Message>;
  close(): void;
}

/** The other end speaks today's program; `remote` says which. */
export function makeLine(socket: WebSocket, transport: Transport, role: SocketRole, remote: Party): Line {
  const arrived: Message[] = [];
  let wake: () => void = () => undefined;
  socket.on('message', (data: RawData) => {
    const decoded = decodeMessage(openFrame(transport, data as Buffer), remote, role);
    if ('unknown' in decoded || isIncidental(decoded.message.type)) return;
    arrived.push(decoded.message);
    wake();
  });
  return {
    send: (bytes) => socket.send(sealFrame(transport, bytes)),
    next: async (like) => {
      const wanted = comparable(like);
      const end = Date.now() + PATIENCE_MILLISECONDS;
      for (;;) {
        const index = arrived.findIndex((message) => isDeepStrictEqual(comparable(message), wanted));
        if (index >= 0) return arrived.splice(index, 1)[0];
        if (Date.now() > end) {
          // The comparison fails, and shows what came instead.
          expect(arrived.map(comparable), `on the ${role} socket`).toContainEqual(wanted);
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
          setTimeout(resolve, 200);
        });
      }
    },
    close: () => socket.close(),
  };
}

/** A site's side, up to the end of the handshake. */
export async function dialLine(url: string, role: SocketRole, introduction: Introduction): Promise<Line> {
  const socket = new WebSocket(`${url}/${role}`, { perMessageDeflate: false });
  await once(socket, 'open');
  return makeLine(socket, await offerHandshake(socket, role, introduction), role, 'hub');
}
