/** @file Opens a model by its name in the catalogue or its path. */

import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { rememberedSha256 } from '../fetching/digest.ts';
import { acceptHash, firstUses } from '../fetching/first-use.ts';
import { CATALOGUE, findInCatalogue, modelFolder, modelPlace, placeOfModel } from './catalogue.ts';
import { createChatTemplate } from './chat-template.ts';
import type { ChatTemplate } from './chat-template.ts';
import { EMBEDDING, type ModelConfiguration } from './configuration.ts';
import { openGgufWeights } from './gguf-weights.ts';
import { openGguf } from './gguf.ts';
import type { Gguf } from './gguf.ts';
import { openHuggingFaceWeights } from './huggingface-weights.ts';
import { readModelJson } from './json.ts';
import { linears } from './lora.ts';
import { weightFiles } from './shards.ts';
import { filesOfGguf, folderFiles, TOKENIZER_GGUF } from './model-folder.ts';
import type { ModelFiles } from './model-folder.ts';
import { elementCount } from './tensor.ts';
import { openTiny } from './tiny.ts';
import type { Tokenizer } from './tokenizer.ts';
import { tokenizerFromGguf } from './tokenizers/from-gguf.ts';
import { tokenizerFromJson } from './tokenizers/from-json.ts';
import type { WeightStore } from './weights.ts';

/** What tells one model from another. */
export interface ModelIdentity {
  /** Id in the catalogue, or the name of the file or folder without its ending. */
  readonly id: string;
  /** Of the weights: the file's, or of the list of its files' hashes where there are several. */
  readonly sha256: string;
  readonly parameters: number;
}

export interface OpenModel {
  readonly identity: ModelIdentity;
  readonly configuration: ModelConfiguration;
  readonly weights: WeightStore;
  readonly tokenizer: Tokenizer;
  /** Null where the model brings none. */
  readonly chatTemplate: ChatTemplate | null;
  /** What a folder of this model holds besides weights: configuration, tokenizer, chat template. */
  files(): ModelFiles;
  close(): void;
}

/**
 * Opens a model: an id of the catalogue (which must lie on this machine), `tiny`, a .gguf file or a
 * Hugging Face folder. Weights stay on disk until they are read.
 * @throws TributaryError `model.not-found`, `model.not-a-model`, `model.cut-short`, `model.damaged`,
 * `model.hash-mismatch`, `model.unsupported-architecture`, `model.unsupported-tensor-type`,
 * `model.unsupported-tokenizer`, `model.tensor-missing`, `model.tensor-shape`, `model.chat-template`
 */
export async function openModel(reference: string): Promise<OpenModel> {
  if (reference === 'tiny') return openTiny();
  const path = pathOf(reference);
  const isFolder = statSync(path).isDirectory();
  const parts = isFolder ? openFolder(path) : openFile(path);
  try {
    checkWeights(parts.weights, path);
    const sha256 = await hashOf(isFolder ? weightFiles(path) : [path]);
    const entry = findInCatalogue(reference);
    if (entry !== undefined) await acceptHash(entry, { path, sha256 }, modelPlace());
    const id = entry?.id ?? (await idOf(sha256)) ?? basename(path).replace(/\.gguf$/i, '');
    const identity = { id, sha256, parameters: countParameters(parts.weights) };
    return {
      identity,
      configuration: parts.weights.configuration,
      ...parts,
      close: () => parts.weights.close(),
    };
  } catch (error) {
    parts.weights.close();
    throw error;
  }
}

type Parts = Pick<OpenModel, 'weights' | 'tokenizer' | 'chatTemplate' | 'files'>;

function pathOf(reference: string): string {
  const entry = findInCatalogue(reference);
  if (entry !== undefined) {
    const path = placeOfModel(entry);
    if (existsSync(path)) return path;
    throw new TributaryError(
      'model.not-found',
      `The model ${entry.id} is not on this machine yet (${path}).`,
      {
        hint: `Run \`tributary models fetch ${entry.id}\`.`,
      },
    );
  }
  if (existsSync(reference)) return reference;
  const known = [...CATALOGUE.map(({ id }) => id), 'tiny'].join(', ');
  const what = `${reference} is neither a file or folder nor in the catalogue (${known})`;
  throw new TributaryError('model.not-found', `${what}.`);
}

function openFile(path: string): Parts {
  const gguf = openGguf(path);
  const weights = openGgufWeights(gguf);
  try {
    return { weights, ...textOfGguf(gguf), files: () => filesOfGguf(gguf, weights.configuration) };
  } catch (error) {
    weights.close();
    throw error;
  }
}

function textOfGguf(gguf: Gguf): Pick<OpenModel, 'tokenizer' | 'chatTemplate'> {
  const tokenizer = tokenizerFromGguf(gguf);
  const source = gguf.metadata.get('tokenizer.chat_template');
  const beginning = gguf.metadata.get('tokenizer.ggml.bos_token_id');
  const text = typeof beginning === 'number' ? tokenizer.decode([beginning]) : '';
  return { tokenizer, chatTemplate: templateOf(source, tokenizer, text) };
}

const chatSettings = z.object({
  bos_token: z
    .union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)])
    .nullish(),
  chat_template: z
    .union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))])
    .nullish(),
});

function openFolder(folder: string): Parts {
  const weights = openHuggingFaceWeights(folder);
  try {
    return { weights, ...textOfFolder(folder), files: () => folderFiles(folder) };
  } catch (error) {
    weights.close();
    throw error;
  }
}

function textOfFolder(folder: string): Pick<OpenModel, 'tokenizer' | 'chatTemplate'> {
  const path = join(folder, 'tokenizer.json');
  if (!existsSync(path)) {
    const alone = join(folder, TOKENIZER_GGUF);
    if (existsSync(alone)) {
      const gguf = openGguf(alone);
      gguf.close();
      return textOfGguf(gguf);
    }
    throw new TributaryError('model.unsupported-tokenizer', `The folder ${folder} has no tokenizer.json.`);
  }
  const configPath = join(folder, 'tokenizer_config.json');
  const config = existsSync(configPath) ? readModelJson(configPath) : {};
  const tokenizer = tokenizerFromJson(readModelJson(path), config, path);
  const settings = chatSettings.safeParse(config).data;
  const template = settings?.chat_template ?? null;
  const source = Array.isArray(template)
    ? template.find(({ name }) => name === 'default')?.template
    : template;
  return { tokenizer, chatTemplate: templateOf(source, tokenizer, settings?.bos_token ?? '') };
}

/** `beginning` is the text templates know as bos_token, also where nothing puts it before a sequence. */
function templateOf(source: unknown, tokenizer: Tokenizer, beginning: string): ChatTemplate | null {
  if (typeof source !== 'string') return null;
  return createChatTemplate(source, {
    beginningOfSequence: beginning,
    endOfSequence: tokenizer.endOfSequence.text,
  });
}

/** The catalogue's name for a file: by its hash there, or by the hash of its first use. */
async function idOf(sha256: string): Promise<string | undefined> {
  const pinned = CATALOGUE.find((entry) => entry.sha256 === sha256)?.id;
  if (pinned !== undefined) return pinned;
  return Object.entries(await firstUses(modelPlace())).find(([, hash]) => hash === sha256)?.[0];
}

async function hashOf(files: readonly string[]): Promise<string> {
  const digests: string[] = [];
  for (const file of files) digests.push(await rememberedSha256(file, modelFolder()));
  return digests.length === 1 ? digests[0] : createHash('sha256').update(digests.join('\n')).digest('hex');
}

function countParameters(weights: WeightStore): number {
  return weights.names.reduce((sum, name) => sum + elementCount(weights.describe(name).shape), 0);
}

/** Every tensor that the configuration promises must be there in its shape, before hours are spent on training. */
function checkWeights(weights: WeightStore, path: string): void {
  const { configuration } = weights;
  const { hiddenSize, vocabularySize, layers } = configuration;
  const expected: [string, readonly number[]][] = [
    [EMBEDDING, [vocabularySize, hiddenSize]],
    ['model.norm.weight', [hiddenSize]],
  ];
  if (!configuration.tiedEmbedding) expected.push(['lm_head.weight', [vocabularySize, hiddenSize]]);
  for (let layer = 0; layer < layers; layer++) {
    for (const norm of ['input_layernorm', 'post_attention_layernorm']) {
      expected.push([`model.layers.${layer}.${norm}.weight`, [hiddenSize]]);
    }
    if (configuration.headNorms === true) {
      for (const norm of ['q_norm', 'k_norm']) {
        expected.push([`model.layers.${layer}.self_attn.${norm}.weight`, [configuration.headSize]]);
      }
    }
  }
  for (const { module, shape } of linears(configuration)) {
    expected.push([`${module}.weight`, shape]);
    if (configuration.attentionBias && /[qkv]_proj$/.test(module))
      expected.push([`${module}.bias`, [shape[0]]]);
  }
  for (const [name, shape] of expected) {
    const found = weights.describe(name).shape;
    if (found.join() !== shape.join()) {
      const difference = `${found.join(' × ')}, but its description says ${shape.join(' × ')}`;
      throw new TributaryError('model.tensor-shape', `${path}: ${name} is ${difference}.`);
    }
  }
}
