/** @file Folders of a test that are removed although something may still be written into them. */

import { rm } from 'node:fs/promises';
import { until } from './until.ts';

/**
 * Removes a folder with all that is in it. What hubs and sites had under way may end after they have stopped, so a
 * file can come while the folder is being emptied; then it is emptied again.
 */
export function removeFolder(path: string): Promise<void> {
  return until(() => rm(path, { recursive: true, force: true }));
}
