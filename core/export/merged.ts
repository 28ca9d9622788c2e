/**
 * @file The base model with the adapter in its weights, W + s·B·A, as a Hugging Face folder: computed and written
 * tensor by tensor, so that a model larger than the memory can be merged.
 */

import { toTributaryError } from '../errors.ts';
import { writeFilesAtomically } from '../files.ts';
import { readAdapter } from '../model/adapter.ts';
import type { Adapter } from '../model/adapter.ts';
import { loraNames, loraScale } from '../model/lora.ts';
import type { ModelFiles } from '../model/model-folder.ts';
import type { OpenModel } from '../model/open.ts';
import { elementCount } from '../model/tensor.ts';
import type { ExportRequest } from './export.ts';
import { modelCard, MODEL_CARD } from './model-card.ts';

export const MERGED_TYPES = ['float32', 'bfloat16'] as const;
/** How the merged weights are written. bfloat16 takes half the space and rounds to eight bits of precision. */
export type MergedType = (typeof MERGED_TYPES)[number];

const CONFIGURATION = 'config.json';
const WEIGHTS = 'model.safetensors';
const BYTES = { float32: 4, bfloat16: 2 } as const;

/** Returns the names of the files. @throws TributaryError as `readAdapter` does, `disk.full`, `file.*` */
export async function writeMerged(request: ExportRequest, model: OpenModel): Promise<string[]> {
  const { adapter: folder, out, type = 'float32', provenance } = request;
  const adapter = readAdapter(folder, model);
  const { identity: base } = model;
  const description = withType(model.files(), type);
  const merged = { type, files: Object.keys(description) };
  const files = {
    ...description,
    [MODEL_CARD]: modelCard({ base, adapter: adapter.configuration, provenance, merged }),
    [WEIGHTS]: mergedFile({ model, adapter, type }, request),
  };
  try {
    await writeFilesAtomically(out, files, 0o644);
  } catch (thrown) {
    request.signal?.throwIfAborted();
    throw toTributaryError(thrown);
  }
  return Object.keys(files).sort();
}

/** The model's files, whose configuration says the type of the weights. */
function withType(files: ModelFiles, type: MergedType): ModelFiles {
  const written = files[CONFIGURATION];
  const text = typeof written === 'string' ? written : Buffer.from(written).toString('utf8');
  const configuration: object = { ...(JSON.parse(text) as object), dtype: type };
  return { ...files, [CONFIGURATION]: `${JSON.stringify(configuration, null, 2)}\n` };
}

interface Merge {
  readonly model: OpenModel;
  readonly adapter: Adapter;
  readonly type: MergedType;
}

/** The parts of the safetensors file: its header, then each tensor when it is asked for. */
function* mergedFile(
  { model: { weights }, adapter, type }: Merge,
  { signal, onProgress }: Pick<ExportRequest, 'signal' | 'onProgress'>,
): Generator<Uint8Array> {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const name of weights.names) {
    const { shape } = weights.describe(name);
    const length = elementCount(shape) * BYTES[type];
    header[name] = { dtype: type === 'float32' ? 'F32' : 'BF16', shape, data_offsets: [end, end + length] };
    end += length;
  }
  const json = JSON.stringify(header);
  const text = Buffer.from(json + ' '.repeat((8 - (Buffer.byteLength(json) % 8)) % 8));
  const beginning = Buffer.alloc(8);
  beginning.writeBigUInt64LE(BigInt(text.length));
  yield beginning;
  yield text;
  for (const [index, name] of weights.names.entries()) {
    signal?.throwIfAborted();
    const values = Float32Array.from(weights.readFloat32(name));
    addAdapter(values, name, adapter);
    yield type === 'float32' ? littleEndian(values) : bfloat16(values);
    onProgress?.({ done: index + 1, total: weights.names.length });
  }
}

/** Adds s·B·A [out, in] to the weights of a linear; those of other tensors stay as they are. */
export function addAdapter(
  values: Float32Array,
  name: string,
  { configuration, tensors }: Pick<Adapter, 'configuration' | 'tensors'>,
): void {
  const names = loraNames(name.replace(/\.weight$/, ''));
  const [a, b] = [tensors.get(names.A), tensors.get(names.B)];
  if (a === undefined || b === undefined) return;
  const [rank, columns] = a.shape;
  const rows = b.shape[0];
  const scale = loraScale(configuration);
  const sums = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    sums.fill(0);
    for (let part = 0; part < rank; part++) {
      const factor = scale * b.data[row * rank + part];
      if (factor === 0) continue;
      const from = part * columns;
      for (let column = 0; column < columns; column++) sums[column] += factor * a.data[from + column];
    }
    const to = row * columns;
    for (let column = 0; column < columns; column++) values[to + column] += sums[column];
  }
}

function littleEndian(values: Float32Array): Uint8Array {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return isLittleEndian ? bytes : bytes.swap32();
}

/** The upper half of each float32, rounded to nearest, ties to even. */
function bfloat16(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < halves.length; i++) halves[i] = (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
  const bytes = Buffer.from(halves.buffer);
  return isLittleEndian ? bytes : bytes.swap16();
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
