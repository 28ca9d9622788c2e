/** @file When a hub has its memory collected. */

import { setImmediate } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { tuneHub } from '../../main/runtime.ts';

it('what a hub made lately is collected after every 2 MiB that went through its buffers', () => {
  const collect = vi.fn();
  const { onBuffers } = tuneHub(collect);
  for (let count = 0; count < 25; count++) onBuffers(126 * 1024);
  expect(collect.mock.calls).toEqual([[{ type: 'minor' }]]);
  for (let count = 0; count < 25; count++) onBuffers(126 * 1024);
  expect(collect).toHaveBeenCalledTimes(2);
});

it('a hub’s memory is collected wholly after every 16 sites that have connected', async () => {
  const collect = vi.fn();
  const { onEvent } = tuneHub(collect);
  for (let count = 0; count < 40; count++) onEvent({ type: 'connected', site: `site-${count % 10}` });
  await setImmediate();
  expect(collect).toHaveBeenCalledTimes(2);
});
