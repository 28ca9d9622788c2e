/** @file The files of a Hugging Face folder that hold its tensors: one `model.safetensors`, or shards and their index. */

import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { readModelJson } from './json.ts';
import { openSafetensors } from './safetensors.ts';
import type { SafetensorsEntry, SafetensorsFile } from './safetensors.ts';

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
/** `metadata.total_size` is not read: it is often stale, and each shard vouches for its own size. */
const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/** Where a tensor lies. */
export interface ShardTensor {
  readonly file: SafetensorsFile;
  readonly entry: SafetensorsEntry;
}

/**
 * Paths of the weight files: the single file where there is one, as transformers prefers it, or all that the index
 * names, sorted.
 * @throws TributaryError `model.not-a-model`, `model.damaged`
 */
export function weightFiles(folder: string): string[] {
  const map = readIndex(folder);
  if (map === null) return [join(folder, SINGLE)];
  return [...new Set(map.values())].sort().map((shard) => join(folder, shard));
}

/** Shard by tensor, or null where the weights are in one file. */
function readIndex(folder: string): Map<string, string> | null {
  const path = join(folder, INDEX);
  if (existsSync(join(folder, SINGLE)) || !existsSync(path)) return null;
  const damaged = (what: string) => new TributaryError('model.damaged', `${path} ${what}.`);
  const parsed = indexSchema.safeParse(readModelJson(path));
  if (!parsed.success) throw damaged('has no weight_map');
  const map = new Map(Object.entries(parsed.data.weight_map));
  if (map.size === 0) throw damaged('names no tensors');
  for (const shard of map.values()) {
    if (basename(shard) !== shard || shard.startsWith('.'))
      throw damaged(`names ${shard}, outside its folder`);
  }
  return map;
}

/**
 * Opens all files of a folder and finds each tensor. Tensors of a shard that the index does not name are left out.
 * @throws TributaryError `model.not-found`, `model.cut-short` when a shard is missing, `model.damaged` when a tensor
 * lies in two shards or not in the one that the index says, and as `openSafetensors`
 */
export function openShards(folder: string): { tensors: Map<string, ShardTensor>; close: () => void } {
  const map = readIndex(folder);
  const paths = weightFiles(folder);
  const missing = map === null ? [] : paths.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    const names = missing.slice(0, 3).map((path) => basename(path));
    throw new TributaryError(
      'model.cut-short',
      `${folder} lacks ${missing.length} of its ${paths.length} shards: ${names.join(', ')}${missing.length > 3 ? ' …' : ''}.`,
    );
  }
  const files: SafetensorsFile[] = [];
  const close = (): void => files.forEach((file) => file.close());
  try {
    const tensors = new Map<string, ShardTensor>();
    for (const path of paths) {
      const file = openSafetensors(path);
      files.push(file);
      for (const [name, entry] of file.entries) {
        const other = tensors.get(name);
        if (other !== undefined) {
          const both = `${basename(other.file.path)} and in ${basename(path)}`;
          throw new TributaryError('model.damaged', `${folder}: the tensor ${name} lies in ${both}.`);
        }
        if (map === null || map.has(name)) tensors.set(name, { file, entry });
      }
    }
    for (const [name, shard] of map ?? []) {
      const found = tensors.get(name);
      if (found !== undefined && basename(found.file.path) === shard) continue;
      const where = found === undefined ? 'is in no shard' : `is in ${basename(found.file.path)}`;
      throw new TributaryError(
        'model.damaged',
        `${join(folder, INDEX)} says that ${name} is in ${shard}, but it ${where}.`,
      );
    }
    return { tensors, close };
  } catch (error) {
    close();
    throw error;
  }
}
