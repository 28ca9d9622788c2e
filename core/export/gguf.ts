/** @file A merged model as one GGUF file, as llama.cpp and what is built on it read it. */

import { TributaryError } from '../errors.ts';
import type { FileContent } from '../files.ts';
import { BLOCK } from '../model/blocks.ts';
import { ggufMetadata } from '../model/gguf-metadata.ts';
import { ggufFile } from '../model/gguf-writer.ts';
import type { GgufMetadata, GgufPart } from '../model/gguf-writer.ts';
import { ggufName, inGgufOrder, ROPE_FACTORS, ropeFactors } from '../model/gguf-weights.ts';
import { pack } from '../model/pack.ts';
import type { PackedFormat } from '../model/pack.ts';
import type { WeightType } from './formats.ts';
import { mergedInTurn } from './merge.ts';
import type { Merge } from './merge.ts';

const FILE = 'model.gguf';

/** Format of the matrices, and the number by which llama.cpp knows a file of such ones (`llama_ftype`). */
const TYPES: Readonly<Record<WeightType, { readonly format: PackedFormat; readonly fileType: number }>> = {
  float32: { format: 'F32', fileType: 0 },
  bfloat16: { format: 'BF16', fileType: 32 },
  q8_0: { format: 'Q8_0', fileType: 7 },
};
const QUANTIZATION_VERSION = 2;

/** The file by its name. @throws TributaryError `export.unavailable` where the tokenizer has no form in GGUF files */
export function ggufFiles(merge: Merge): Record<string, FileContent> {
  const metadata = ggufMetadata(merge.model);
  if (metadata === null) {
    const why = 'The tokenizer of this model has no form that GGUF files could hold here.';
    throw new TributaryError('export.unavailable', why);
  }
  metadata
    .uint32('general.file_type', TYPES[merge.type].fileType)
    .uint32('general.quantization_version', QUANTIZATION_VERSION);
  return { [FILE]: file(merge, metadata) };
}

function* file(merge: Merge, metadata: GgufMetadata): Generator<Uint8Array> {
  const { weights, configuration } = merge.model;
  const next = mergedInTurn(merge);
  const parts = weights.names.map((name): GgufPart => {
    const { shape } = weights.describe(name);
    const format = formatOf(shape, TYPES[merge.type].format);
    const bytes = () => pack(format, inGgufOrder(name, { values: next(name), shape }, configuration));
    return { name: ggufName(name), shape, format, bytes };
  });
  const factors = ropeFactors(configuration);
  if (factors !== null) {
    const bytes = () => pack('F32', factors);
    parts.push({ name: ROPE_FACTORS, shape: [factors.length], format: 'F32', bytes });
  }
  yield* ggufFile(metadata, parts);
}

/** llama.cpp wants gains and biases in float32, and blocks that are whole. */
function formatOf(shape: readonly number[], format: PackedFormat): PackedFormat {
  const whole = format !== 'Q8_0' || shape[shape.length - 1] % BLOCK === 0;
  return shape.length === 2 && whole ? format : 'F32';
}
