/** @file `tributary bench`: the figures by which Tributary is measured. */

import type { Command } from 'commander';
import { registerNamed } from '../loading.ts';

const files = {
  train: () => import('./bench-train.ts'),
  generate: () => import('./bench-generate.ts'),
  graph: () => import('./bench-graph.ts'),
  hub: () => import('./bench-hub.ts'),
  'hub-sites': () => import('./bench-sites.ts'),
};

export async function register(program: Command, words: readonly string[]): Promise<void> {
  await registerNamed(program.command('bench').description('measure this machine'), files, words);
}
