/** @file JSON files of a model folder. */

import { readFileSync } from 'node:fs';
import { TributaryError } from '../errors.ts';

/** Reads and parses a JSON file of a model folder. @throws TributaryError `model.not-a-model`, `model.damaged` */
export function readModelJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new TributaryError('model.not-a-model', `There is no readable ${path}.`, { cause });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TributaryError('model.damaged', `${path} is not JSON.`, { cause });
  }
}
