/** @file Weights of a Hugging Face folder: `config.json` with one `model.safetensors` or its shards. */

import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { configurationFromHuggingFace } from './huggingface-configuration.ts';
import { openSafetensors } from './safetensors.ts';
import type { SafetensorsEntry, SafetensorsFile } from './safetensors.ts';
import type { WeightStore } from './weights.ts';

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

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

/** The weight files of a folder by name: one, or those its index names. */
export function weightFiles(folder: string): string[] {
  const single = join(folder, 'model.safetensors');
  let index: unknown;
  try {
    index = readModelJson(`${single}.index.json`);
  } catch (error) {
    if (error instanceof TributaryError && error.code === 'model.not-a-model') return [single];
    throw error;
  }
  const parsed = indexSchema.safeParse(index);
  if (!parsed.success) throw new TributaryError('model.damaged', `${single}.index.json has no weight_map.`);
  const shards = [...new Set(Object.values(parsed.data.weight_map))].sort();
  for (const shard of shards) {
    if (basename(shard) !== shard || shard.startsWith('.')) {
      throw new TributaryError('model.damaged', `${single}.index.json names ${shard}, outside its folder.`);
    }
  }
  return shards.map((shard) => join(folder, shard));
}

/**
 * A store over the folder's files, which stay open until it is closed.
 * @throws TributaryError `model.not-a-model`, `model.damaged`, `model.cut-short`, `model.unsupported-architecture`,
 * `model.unsupported-tensor-type`, `model.tensor-missing`
 */
export function openHuggingFaceWeights(folder: string): WeightStore {
  const configPath = join(folder, 'config.json');
  const configuration = configurationFromHuggingFace(readModelJson(configPath), configPath);
  const files: SafetensorsFile[] = [];
  const close = (): void => {
    for (const file of files) file.close();
  };
  const entries = new Map<string, { file: SafetensorsFile; entry: SafetensorsEntry }>();
  try {
    for (const path of weightFiles(folder)) {
      const file = openSafetensors(path);
      files.push(file);
      for (const [name, entry] of file.entries) {
        const isTiedCopy = configuration.tiedEmbedding && name === 'lm_head.weight';
        if (!isTiedCopy) entries.set(name, { file, entry });
      }
    }
    if (!entries.has('model.embed_tokens.weight')) {
      throw new TributaryError('model.tensor-missing', `${folder} has no tensor model.embed_tokens.weight.`);
    }
  } catch (error) {
    close();
    throw error;
  }
  const find = (name: string) => {
    const found = entries.get(name);
    if (found === undefined)
      throw new TributaryError('model.tensor-missing', `${folder} has no tensor ${name}.`);
    return found;
  };
  return {
    configuration,
    names: [...entries.keys()],
    describe: (name) => {
      const { shape, format } = find(name).entry;
      return { shape, format };
    },
    readFloat32: (name) => {
      const { file, entry } = find(name);
      return file.readFloat32(entry);
    },
    readPacked: (name) => {
      find(name);
      return null;
    },
    close,
  };
}
