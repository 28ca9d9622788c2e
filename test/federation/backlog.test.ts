/** @file What waits to be sent over many connections: bounded together, and nobody is left waiting. */

import { expect, it } from 'vitest';
import { createBacklog } from '../../core/federation/backlog.ts';

it('lets every connection have one message waiting, and more while all together are few', () => {
  const backlog = createBacklog(100);
  const [one, other] = [backlog.enter(() => undefined), backlog.enter(() => undefined)];
  one.add(60);
  expect(one.hasRoom()).toBe(true);
  one.add(60);
  expect(one.hasRoom()).toBe(false);
  expect(other.hasRoom()).toBe(true);
  const isSent = other.add(60);
  expect(other.hasRoom()).toBe(false);
  isSent();
  expect(other.hasRoom()).toBe(true);
});

it('wakes those that wait once half of it is gone, also where a connection has broken with what it had', () => {
  const backlog = createBacklog(100);
  let woken = 0;
  const waiting = backlog.enter(() => (woken += 1));
  waiting.add(20);
  const [one, broken] = [backlog.enter(() => undefined), backlog.enter(() => undefined)];
  const sent = one.add(50);
  const late = broken.add(50);
  expect(waiting.hasRoom()).toBe(false);
  sent();
  expect(woken).toBe(0);
  broken.leave();
  expect(woken).toBe(1);
  expect(waiting.hasRoom()).toBe(true);
  late(); // its callback comes after all
  broken.leave();
  waiting.add(79);
  expect(waiting.hasRoom()).toBe(true);
  waiting.add(1);
  expect(waiting.hasRoom()).toBe(false);
});
