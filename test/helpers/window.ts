/** @file A window without a page: signs in at a window's server, asks over its WebSocket and keeps every event. */

import { expect } from 'vitest';
import { WebSocket } from 'ws';
import type {
  BridgeError,
  EventBody,
  EventName,
  Input,
  Output,
  RequestName,
} from '../../core/bridge/contract.ts';
import type { WindowServer } from '../../core/bridge/server.ts';
import { until } from './until.ts';

export interface TestWindow {
  /** Rejects with the error as it came. */
  ask<Name extends RequestName>(name: Name, input: Input<Name>): Promise<Output<Name>>;
  /** Events of a name so far, in order. */
  heard<Name extends EventName>(event: Name): EventBody<Name>[];
  /** The first event that fits, once it is there. */
  event<Name extends EventName>(
    event: Name,
    fits?: (body: EventBody<Name>) => boolean,
  ): Promise<EventBody<Name>>;
  close(): void;
}

interface Told {
  readonly id?: number;
  readonly output?: unknown;
  readonly error?: BridgeError;
  readonly event?: string;
  readonly body?: unknown;
}

export async function openTestWindow(server: Pick<WindowServer, 'address'>): Promise<TestWindow> {
  const { origin, hash } = new URL(server.address());
  const headers = { origin };
  const body = hash.slice('#token='.length);
  const signedIn = await fetch(`${origin}/session`, { method: 'POST', headers, body });
  const [cookie] = signedIn.headers.getSetCookie();
  const socket = new WebSocket(`${origin.replace('http', 'ws')}/bridge`, { headers: { ...headers, cookie } });
  const waiting = new Map<number, (told: Told) => void>();
  const events: Told[] = [];
  let count = 0;
  socket.on('message', (data: Buffer) => {
    const told = JSON.parse(data.toString('utf8')) as Told;
    if (told.id === undefined) events.push(told);
    else waiting.get(told.id)?.(told);
  });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  const heard: TestWindow['heard'] = (name) =>
    events.flatMap(({ event, body }) => (event === name ? [body as EventBody<typeof name>] : []));
  return {
    heard,
    ask: async (name, input) => {
      const id = (count += 1);
      const told = await new Promise<Told>((resolve) => {
        waiting.set(id, resolve);
        socket.send(JSON.stringify({ id, name, input }));
      });
      if (told.error !== undefined) throw Object.assign(new Error(told.error.message), told.error);
      return told.output as Output<typeof name>;
    },
    event: async (name, fits = () => true) => {
      await until(() => expect(heard(name).some(fits)).toBe(true));
      return heard(name).filter(fits)[0];
    },
    close: () => socket.terminate(),
  };
}
