/** @file Weights of a GGUF file under Hugging Face's names and in its row order. */

import { TributaryError } from '../errors.ts';
import { architectures } from './architectures/table.ts';
import { packedForm, repack, storage, unpack } from './blocks.ts';
import type { StoredMatrix } from './blocks.ts';
import type { ModelConfiguration } from './configuration.ts';
import { configurationFromGguf } from './gguf-configuration.ts';
import type { Gguf, GgufTensor } from './gguf.ts';
import { inverseFrequencies } from './rope.ts';
import { elementCount } from './tensor.ts';
import type { WeightFormat, WeightStore } from './weights.ts';

/** ggml's type numbers that are read. */
const formats: Readonly<Record<number, WeightFormat>> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  6: 'Q5_0',
  7: 'Q5_1',
  8: 'Q8_0',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  30: 'BF16',
};

/** Names of the other types, for messages. */
const otherTypes: Readonly<Record<number, string>> = {
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
};

const outerNames: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};

const layerNames: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

/** Llama 3's table of frequency factors: part of the configuration, not a weight. */
export const ROPE_FACTORS = 'rope_freqs.weight';

/** `blk.0.attn_q.weight` → `model.layers.0.self_attn.q_proj.weight`; null for a name that is not known. */
export function huggingFaceName(name: string): string | null {
  const match = /^(?:blk\.(?<layer>\d{1,4})\.)?(?<module>\w+)\.(?<part>weight|bias)$/.exec(name);
  const { layer, module = '', part } = match?.groups ?? {};
  const names = layer === undefined ? outerNames : layerNames;
  if (!Object.hasOwn(names, module)) return null;
  return `${layer === undefined ? '' : `model.layers.${Number(layer)}.`}${names[module]}.${part}`;
}

/** `model.layers.0.self_attn.q_proj.weight` → `blk.0.attn_q.weight`: the inverse of {@link huggingFaceName}. */
export function ggufName(name: string): string {
  const match = /^(?:model\.layers\.(?<layer>\d{1,4})\.)?(?<module>[\w.]+)\.(?<part>weight|bias)$/.exec(name);
  const { layer, module, part } = match?.groups ?? {};
  const names = layer === undefined ? outerNames : layerNames;
  const short = Object.keys(names).find((key) => names[key] === module);
  if (short === undefined) throw new Error(`${name} has no name in GGUF files`);
  return `${layer === undefined ? '' : `blk.${layer}.`}${short}.${part}`;
}

/** Values of a tensor in the row order of GGUF files; the same array where it is Hugging Face's. */
export function inGgufOrder(
  name: string,
  { values, shape }: { readonly values: Float32Array; readonly shape: readonly number[] },
  configuration: ModelConfiguration,
): Float32Array {
  const heads = permutedHeads(name, configuration);
  if (heads === null) return values;
  const [rows] = shape;
  const columns = values.length / rows;
  const rowOrder = unpermuted(name, name, { rows, heads });
  const ordered = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const from = rowOrder(row) * columns;
    ordered.set(values.subarray(from, from + columns), row * columns);
  }
  return ordered;
}

/** The values of `rope_freqs.weight`: by how much each frequency of a head falls; null without scaling. */
export function ropeFactors(configuration: ModelConfiguration): Float32Array | null {
  if (configuration.ropeScaling === null) return null;
  const plain = inverseFrequencies({ ...configuration, ropeScaling: null });
  return Float32Array.from(inverseFrequencies(configuration), (scaled, index) => plain[index] / scaled);
}

interface Entry {
  readonly tensor: GgufTensor;
  readonly format: WeightFormat;
  readonly bytes: number;
}

/**
 * A store over an open GGUF file. Closing the store closes the file, and so does a failure to make it.
 * @throws TributaryError `model.unsupported-architecture`, `model.unsupported-tensor-type`, `model.cut-short`,
 * `model.damaged`
 */
export function openGgufWeights(gguf: Gguf): WeightStore {
  try {
    return createStore(gguf);
  } catch (error) {
    gguf.close();
    throw error;
  }
}

function createStore(gguf: Gguf): WeightStore {
  const entries = new Map<string, Entry>();
  let factors: Float32Array | null = null;
  const unknown: string[] = [];
  for (const tensor of gguf.tensors.values()) {
    const name = huggingFaceName(tensor.name);
    if (tensor.name === ROPE_FACTORS) {
      const entry = describeEntry(gguf, tensor);
      factors = unpack(entry.format, wholeRow(gguf, entry));
    } else if (name === null) unknown.push(tensor.name);
    else entries.set(name, describeEntry(gguf, tensor));
  }
  const configuration = configurationFromGguf(gguf, factors);
  if (unknown.length > 0) {
    const what = `the tensor ${unknown[0]}${unknown.length > 1 ? ` and ${unknown.length - 1} more` : ''}`;
    throw new TributaryError(
      'model.unsupported-architecture',
      `${gguf.path} has ${what}, which is not supported.`,
    );
  }
  const find = (name: string): Entry => {
    const entry = entries.get(name);
    if (entry === undefined) {
      throw new TributaryError('model.tensor-missing', `${gguf.path} has no tensor ${name}.`);
    }
    return entry;
  };
  const load = (name: string): StoredMatrix & { format: WeightFormat } => {
    const entry = find(name);
    const { shape } = entry.tensor;
    const heads = permutedHeads(name, configuration);
    if (heads === null && shape.length === 1) return { format: entry.format, ...wholeRow(gguf, entry) };
    const bytes = gguf.read(entry.tensor.offset, entry.bytes);
    const rows = shape[0];
    const rowOrder = heads === null ? (row: number) => row : unpermuted(gguf.path, name, { rows, heads });
    return { format: entry.format, bytes, rows, columns: elementCount(shape.slice(1)), rowOrder };
  };
  return {
    configuration,
    names: [...entries.keys()],
    describe: (name) => {
      const { tensor, format } = find(name);
      return { shape: tensor.shape, format };
    },
    readFloat32: (name) => {
      const { format, ...stored } = load(name);
      return unpack(format, stored);
    },
    readPacked: (name) => {
      const { format, tensor } = find(name);
      if (tensor.shape.length !== 2) return null;
      return packedForm(format) === null ? null : repack(format, load(name));
    },
    close: () => gguf.close(),
  };
}

function describeEntry(gguf: Gguf, tensor: GgufTensor): Entry {
  const { name, shape } = tensor;
  if (!Object.hasOwn(formats, tensor.type)) {
    const type = otherTypes[tensor.type] ?? `type ${tensor.type}`;
    throw new TributaryError('model.unsupported-tensor-type', `${gguf.path}: the tensor ${name} is ${type}.`);
  }
  const format = formats[tensor.type];
  const columns = shape[shape.length - 1] ?? 1;
  if (columns % storage[format].values !== 0) {
    throw new TributaryError(
      'model.damaged',
      `${gguf.path}: ${name} has rows of ${columns} values in ${format}.`,
    );
  }
  const bytes = (elementCount(shape) / storage[format].values) * storage[format].bytes;
  if (tensor.offset + bytes > gguf.size) {
    throw new TributaryError(
      'model.cut-short',
      `${gguf.path} ends after ${gguf.size} bytes, but its tensor ${name} ends at ${tensor.offset + bytes}.`,
    );
  }
  return { tensor, format, bytes };
}

function wholeRow(gguf: Gguf, entry: Entry): StoredMatrix {
  const bytes = gguf.read(entry.tensor.offset, entry.bytes);
  return { bytes, rows: 1, columns: elementCount(entry.tensor.shape), rowOrder: () => 0 };
}

/** llama.cpp stores q and k of some architectures for interleaved rotation; other tensors are as they are. */
function permutedHeads(name: string, configuration: ModelConfiguration): number | null {
  const architecture = architectures.find(({ modelType }) => modelType === configuration.modelType);
  if (architecture?.interleavedInGguf !== true) return null;
  if (name.includes('.q_proj.')) return configuration.attentionHeads;
  if (name.includes('.k_proj.')) return configuration.keyValueHeads;
  return null;
}

/** Row h·d + 2·i + p of the file is row h·d + p·d/2 + i of Hugging Face's layout (p = 0, 1; d the head size). */
function unpermuted(
  path: string,
  name: string,
  size: { rows: number; heads: number },
): (row: number) => number {
  const head = size.rows / size.heads;
  if (!Number.isInteger(head) || head % 2 !== 0) {
    const what = `${name} has ${size.rows} rows for ${size.heads} heads`;
    throw new TributaryError('model.tensor-shape', `${path}: ${what}.`);
  }
  return (row) => {
    const inHead = row % head;
    return row - inHead + (inHead % 2) * (head / 2) + Math.floor(inHead / 2);
  };
}
