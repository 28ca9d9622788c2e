/** @file Weights of a Hugging Face folder: `config.json` with one `model.safetensors` or its shards. */

import { join } from 'node:path';
import { TributaryError } from '../errors.ts';
import { configurationFromHuggingFace } from './huggingface-configuration.ts';
import { readModelJson } from './json.ts';
import { openShards } from './shards.ts';
import type { WeightStore } from './weights.ts';

/**
 * A store over the folder's files, which stay open until it is closed.
 * @throws TributaryError `model.not-a-model`, `model.damaged`, `model.cut-short`, `model.unsupported-architecture`,
 * `model.unsupported-tensor-type`, `model.tensor-missing`
 */
export function openHuggingFaceWeights(folder: string): WeightStore {
  const configPath = join(folder, 'config.json');
  const configuration = configurationFromHuggingFace(readModelJson(configPath), configPath);
  const { tensors, close } = openShards(folder);
  // Some files hold a copy of the embedding as the head that is tied to it.
  if (configuration.tiedEmbedding) tensors.delete('lm_head.weight');
  if (!tensors.has('model.embed_tokens.weight')) {
    close();
    throw new TributaryError('model.tensor-missing', `${folder} has no tensor model.embed_tokens.weight.`);
  }
  const find = (name: string) => {
    const found = tensors.get(name);
    if (found === undefined)
      throw new TributaryError('model.tensor-missing', `${folder} has no tensor ${name}.`);
    return found;
  };
  return {
    configuration,
    names: [...tensors.keys()],
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
