/** @file How this site's window opens models: as its settings say, and only those that lie on this machine. */

import { existsSync } from 'node:fs';
import { findInCatalogue, placeOfModel } from '../../model/catalogue.ts';
import type { TrainerOptions } from '../../training/requests.ts';
import type { SettingsFile } from '../settings.ts';

/** @param model as `openModel` takes it */
export function engineOptions(settings: SettingsFile, model: string): TrainerOptions {
  const { device, threads, memoryLimit } = settings.get();
  return {
    ...{ model, precision: 'auto', device },
    ...(threads !== null && { threads }),
    ...(memoryLimit !== null && { memoryLimit }),
  };
}

/** Whether a model can be opened without fetching it first. */
export function isOnThisMachine(reference: string): boolean {
  if (reference === 'tiny') return true;
  const entry = findInCatalogue(reference);
  return existsSync(entry === undefined ? reference : placeOfModel(entry));
}
