/** @file The model `tiny`: a seeded random Llama with a byte-level tokenizer, for tests and trials without a file. */

import { createHash } from 'node:crypto';
import { TributaryError } from '../errors.ts';
import { Random } from '../random.ts';
import { BLOCK } from './blocks.ts';
import { createChatTemplate } from './chat-template.ts';
import { EMBEDDING, type ModelConfiguration } from './configuration.ts';
import { linears } from './lora.ts';
import { filesOfBytes } from './model-folder.ts';
import type { OpenModel } from './open.ts';
import { elementCount } from './tensor.ts';
import { createByteLevelTokenizer } from './tokenizers/byte-level.ts';
import { byteCharacters } from './tokenizers/bytes.ts';
import { namedSplits } from './tokenizers/splits.ts';
import type { Int4Matrix, Int8Matrix, WeightFormat, WeightStore } from './weights.ts';

const specialTokens = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<|padding|>'];
const [END_OF_TURN, PADDING] = [256 + 2, 256 + 3];

export const TINY_CONFIGURATION: ModelConfiguration = {
  modelType: 'llama',
  hiddenSize: 64,
  intermediateSize: 160,
  layers: 2,
  attentionHeads: 4,
  keyValueHeads: 2,
  headSize: 16,
  vocabularySize: 256 + specialTokens.length,
  maximumPositions: 2048,
  rmsNormEpsilon: 1e-5,
  ropeTheta: 10000,
  ropeScaling: null,
  tiedEmbedding: true,
  attentionBias: false,
};

const CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

type TinyTensor =
  | {
      readonly format: WeightFormat;
      readonly shape: readonly number[];
      readonly packed: Int4Matrix | Int8Matrix;
    }
  | {
      readonly format: 'F32';
      readonly shape: readonly number[];
      readonly packed: null;
      readonly data: Float32Array;
    };

/**
 * The model as if opened from a file: an eight-bit tied embedding, four-bit linears and float32 norms, as in the
 * bundled SmolLM2, so that every precision can be tried. Equal on every machine.
 */
export function openTiny(): OpenModel {
  const tensors = createTensors(TINY_CONFIGURATION);
  const weights = createStore(tensors);
  const hash = createHash('sha256').update(JSON.stringify(TINY_CONFIGURATION));
  let parameters = 0;
  for (const name of weights.names) {
    const data = weights.readFloat32(name);
    parameters += data.length;
    hash.update(name).update(Buffer.from(data.buffer));
  }
  const endOfSequence = { id: END_OF_TURN, text: specialTokens[2] };
  return {
    identity: { id: 'tiny', sha256: hash.digest('hex'), parameters },
    configuration: TINY_CONFIGURATION,
    weights,
    tokenizer: createByteLevelTokenizer({
      tokens: [...byteCharacters, ...specialTokens],
      merges: [],
      added: specialTokens.map((text, index) => ({ id: 256 + index, text, control: true })),
      split: namedSplits['gpt-2'],
      wholePieces: false,
      compose: false,
      endOfSequence,
      beginningOfSequence: null,
      padding: PADDING,
    }),
    chatTemplate: createChatTemplate(CHAT_TEMPLATE, {
      beginningOfSequence: '',
      endOfSequence: endOfSequence.text,
    }),
    files: () =>
      filesOfBytes(TINY_CONFIGURATION, {
        bytes: byteCharacters,
        special: specialTokens,
        endOfSequence: endOfSequence.text,
        padding: specialTokens[PADDING - 256],
        chatTemplate: CHAT_TEMPLATE,
      }),
    close: () => weights.close(),
  };
}

/** Standard deviation 1/√in for inner weights, smaller where a layer adds to the residual stream. */
function createTensors(configuration: ModelConfiguration): Map<string, TinyTensor> {
  const { hiddenSize, layers, vocabularySize } = configuration;
  const tensors = new Map<string, TinyTensor>();
  const norm = (name: string): void => {
    const data = new Float32Array(hiddenSize).fill(1);
    tensors.set(name, { format: 'F32', shape: [hiddenSize], packed: null, data });
  };
  const shape = [vocabularySize, hiddenSize] as const;
  tensors.set(EMBEDDING, {
    format: 'Q8_0',
    shape,
    packed: randomInt8(EMBEDDING, shape, 1 / Math.sqrt(hiddenSize)),
  });
  for (const { module, shape } of linears(configuration)) {
    const name = `${module}.weight`;
    const damping = /(o|down)_proj$/.test(module) ? 1 / Math.sqrt(2 * layers) : 1;
    tensors.set(name, {
      format: 'Q4_1',
      shape,
      packed: randomInt4(name, shape, damping / Math.sqrt(shape[1])),
    });
  }
  for (let layer = 0; layer < layers; layer++) {
    norm(`model.layers.${layer}.input_layernorm.weight`);
    norm(`model.layers.${layer}.post_attention_layernorm.weight`);
  }
  norm('model.norm.weight');
  return tensors;
}

/** Uniform nibbles q give scale · (q − 7.5) the standard deviation scale · √(255/12). */
function randomInt4(name: string, shape: readonly [number, number], deviation: number): Int4Matrix {
  const random = new Random('tiny', name);
  const values = Uint8Array.from({ length: elementCount(shape) / 2 }, () => random.below(256));
  const scale = new Float32Array(elementCount(shape) / BLOCK).fill(deviation / Math.sqrt(255 / 12));
  return { kind: 'int4', shape, values, scale, minimum: scale.map((step) => -7.5 * step) };
}

/** Uniform integers in −127 … 127 have the standard deviation √(127 · 128 / 3). */
function randomInt8(name: string, shape: readonly [number, number], deviation: number): Int8Matrix {
  const random = new Random('tiny', name);
  const values = Int8Array.from({ length: elementCount(shape) }, () => random.below(255) - 127);
  const scale = new Float32Array(elementCount(shape) / BLOCK).fill(deviation / Math.sqrt((127 * 128) / 3));
  return { kind: 'int8', shape, values, scale };
}

function createStore(tensors: ReadonlyMap<string, TinyTensor>): WeightStore {
  const find = (name: string): TinyTensor => {
    const tensor = tensors.get(name);
    if (tensor === undefined)
      throw new TributaryError('model.tensor-missing', `The model tiny has no tensor ${name}.`);
    return tensor;
  };
  return {
    configuration: TINY_CONFIGURATION,
    names: [...tensors.keys()],
    describe: (name) => {
      const { shape, format } = find(name);
      return { shape, format };
    },
    readFloat32: (name) => {
      const tensor = find(name);
      return tensor.packed === null ? tensor.data.slice() : dequantise(tensor.packed);
    },
    readPacked: (name) => {
      const { packed } = find(name);
      if (packed === null) return null;
      const copies = { values: packed.values.slice(), scale: packed.scale.slice() };
      return packed.kind === 'int4'
        ? { ...packed, ...copies, values: packed.values.slice(), minimum: packed.minimum.slice() }
        : { ...packed, ...copies, values: packed.values.slice() };
    },
    close: () => undefined,
  };
}

function dequantise(packed: Int4Matrix | Int8Matrix): Float32Array {
  const { scale } = packed;
  return Float32Array.from({ length: elementCount(packed.shape) }, (_, at) => {
    const block = Math.floor(at / BLOCK);
    if (packed.kind === 'int8') return scale[block] * packed.values[at];
    const pair = packed.values[at >> 1];
    return scale[block] * (at % 2 === 0 ? pair & 15 : pair >> 4) + packed.minimum[block];
  });
}
