/** @file A merged model as a Hugging Face folder. */

import { pack, packedLength } from '../model/pack.ts';
import type { PackedFormat } from '../model/pack.ts';
import type { ModelFiles } from '../model/model-folder.ts';
import { elementCount } from '../model/tensor.ts';
import type { FileContent } from '../files.ts';
import { mergedInTurn } from './merge.ts';
import type { Merge } from './merge.ts';

const CONFIGURATION = 'config.json';
const WEIGHTS = 'model.safetensors';

/** The files by name. */
export function mergedFolder(merge: Merge): Record<string, FileContent> {
  return { ...withType(merge.model.files(), merge.type), [WEIGHTS]: weightsFile(merge) };
}

/** The model's files, whose configuration says the type of the weights. */
function withType(files: ModelFiles, type: Merge['type']): ModelFiles {
  const text = Buffer.from(files[CONFIGURATION]).toString('utf8');
  const configuration: object = { ...(JSON.parse(text) as object), dtype: type };
  return { ...files, [CONFIGURATION]: `${JSON.stringify(configuration, null, 2)}\n` };
}

/** The parts of the safetensors file: its header, then each tensor when it is asked for. */
function* weightsFile(merge: Merge): Generator<Uint8Array> {
  const { weights } = merge.model;
  const format: PackedFormat = merge.type === 'bfloat16' ? 'BF16' : 'F32';
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const name of weights.names) {
    const { shape } = weights.describe(name);
    const length = packedLength(format, elementCount(shape));
    header[name] = { dtype: format, shape, data_offsets: [end, end + length] };
    end += length;
  }
  const json = JSON.stringify(header);
  const text = Buffer.from(json + ' '.repeat((8 - (Buffer.byteLength(json) % 8)) % 8));
  const beginning = Buffer.alloc(8);
  beginning.writeBigUInt64LE(BigInt(text.length));
  yield beginning;
  yield text;
  const next = mergedInTurn(merge);
  for (const name of weights.names) yield pack(format, next(name));
}
