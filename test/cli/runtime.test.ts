/** @file When a hub has its memory collected. */

import { expect, it, vi } from 'vitest';
import { tuneHub } from '../../main/runtime.ts';

it('what a hub made lately is collected after every 8 MiB that went through its buffers', () => {
  const collect = vi.fn();
  const { onBuffers } = tuneHub(collect);
  for (let count = 0; count < 100; count++) onBuffers(126 * 1024);
  expect(collect.mock.calls).toEqual([[{ type: 'minor' }]]);
  for (let count = 0; count < 100; count++) onBuffers(126 * 1024);
  expect(collect).toHaveBeenCalledTimes(3);
});
