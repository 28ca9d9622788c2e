/** @file A machine that sleeps and wakes: its site connects anew at once, not after a time-out. */

import { afterEach, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { replaceMachine, sleep } from '../../core/machine.ts';
import { createVirtualMachine } from '../../core/simulation/faults/virtual-machine.ts';
import type { VirtualMachine } from '../../core/simulation/faults/virtual-machine.ts';
import { keepConnected } from '../../core/site/reconnect.ts';
import type { Connected } from '../../core/site/connect.ts';
import { watchForWakes } from '../../core/site/wake.ts';

let restore: () => void = () => undefined;
afterEach(() => restore());

function machineOf(seed: number): VirtualMachine {
  const virtual = createVirtualMachine(seed);
  restore = replaceMachine(virtual);
  return virtual;
}

/** A connection that says nothing of its own death, as those of a machine that has slept. */
function deafConnection(): Connected {
  let end: (reason: TributaryError) => void;
  const closed = new Promise<TributaryError>((resolve) => (end = resolve));
  const close = (reason?: TributaryError): void =>
    end(reason ?? new TributaryError('wire.closed', 'Closed.'));
  return { channel: { close, closed } } as unknown as Connected;
}

/** Minutes of a site whose hub always answers; the moments of its attempts, in seconds. */
async function attempts(virtual: VirtualMachine, minutes: number): Promise<number[]> {
  const at: number[] = [];
  const stopping = new AbortController();
  const wakes = watchForWakes();
  const kept = keepConnected({
    connect: () => {
      at.push(virtual.now() / 1000);
      return Promise.resolve(deafConnection());
    },
    ...{ onConnected: () => undefined, onLost: () => undefined, isFinal: () => false },
    backoff: { firstSeconds: 0.5, capSeconds: 30 },
    ...{ wakes, signal: stopping.signal },
  });
  await virtual.runUntil(sleep(minutes * 60_000), Infinity);
  stopping.abort();
  wakes.close();
  await kept;
  return at;
}

it('connects anew within seconds where the steady clock stood still meanwhile', async () => {
  const virtual = machineOf(1);
  const HOUR = 3_600_000;
  virtual.startTimer(60_000, () => (virtual.skew += HOUR));
  const [first, second, ...more] = await attempts(virtual, 3);
  expect([first, more]).toEqual([0, []]);
  expect(second).toBeGreaterThanOrEqual(60);
  expect(second).toBeLessThan(63);
});

it('connects anew where the steady clock went on while nothing ran', async () => {
  const virtual = machineOf(2);
  let slept = 0;
  const sleeping = { ...virtual, now: () => virtual.now() + slept, date: () => virtual.date() + slept };
  restore();
  restore = replaceMachine(sleeping);
  virtual.startTimer(60_000, () => (slept = 600_000));
  expect(await attempts(virtual, 3)).toHaveLength(2);
});

it('holds a connection while nothing of that kind happens, whatever the clock is set back to', async () => {
  const virtual = machineOf(3);
  virtual.startTimer(60_000, () => (virtual.skew -= 5_000_000));
  virtual.startTimer(90_000, () => (virtual.skew += 3000));
  expect(await attempts(virtual, 5)).toEqual([0]);
});

it('ends a long wait for the next attempt', async () => {
  const virtual = machineOf(4);
  const at: number[] = [];
  const stopping = new AbortController();
  const wakes = watchForWakes();
  const kept = keepConnected({
    connect: () => {
      at.push(virtual.now());
      return Promise.reject(new TributaryError('hub.unreachable', 'No network yet.'));
    },
    ...{ onConnected: () => undefined, onLost: () => undefined, isFinal: () => false },
    backoff: { firstSeconds: 3600, capSeconds: 3600 },
    ...{ wakes, signal: stopping.signal },
  });
  virtual.startTimer(10_000, () => (virtual.skew += 100_000));
  await virtual.runUntil(sleep(13_000), Infinity);
  expect(at).toHaveLength(2);
  expect(at[1]).toBeLessThan(12_100);
  stopping.abort();
  wakes.close();
  await kept;
});
