/** @file gguf-blocks/blocks.json: quantised blocks unpack to these values, bit for bit, also from their packed form. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { repack, storage, unpack } from '../../../core/model/blocks.ts';
import type { Int4Matrix, Int8Matrix, WeightFormat } from '../../../core/model/weights.ts';
import { check } from '../check.ts';
import type { Check } from '../check.ts';

const isFormat = (name: string): name is WeightFormat => Object.hasOwn(storage, name);
const fileShape = z.object({
  vectors: z.array(
    z.object({
      format: z.string().refine(isFormat),
      columns: z.number(),
      bytes: z.base64(),
      values: z.base64(),
    }),
  ),
});

export function checkBlocks(file: string): Check[] {
  const { vectors } = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  return vectors.flatMap(({ format, columns, bytes, values }) => {
    const expected = floats(Buffer.from(values, 'base64'));
    const rows = expected.length / columns;
    const stored = { bytes: Buffer.from(bytes, 'base64'), rows, columns, rowOrder: (row: number) => row };
    const packed = repack(format, stored);
    const checks = [check(`unpacks ${format}`, differs(unpack(format, stored), expected))];
    if (packed) checks.push(check(`packs ${format} as ${packed.kind}`, differs(rebuilt(packed), expected)));
    return checks;
  });
}

function floats(bytes: Buffer): Float32Array {
  return Float32Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(4 * index));
}

/** The values of a packed matrix, by the formula that its type promises. */
function rebuilt(packed: Int4Matrix | Int8Matrix): Float32Array {
  return Float32Array.from({ length: packed.shape[0] * packed.shape[1] }, (_, at) => {
    const block = Math.floor(at / 32);
    if (packed.kind === 'int8') return packed.scale[block] * packed.values[at];
    const pair = packed.values[at >> 1];
    return packed.scale[block] * (at % 2 === 0 ? pair & 15 : pair >> 4) + packed.minimum[block];
  });
}

function differs(got: Float32Array, expected: Float32Array): string | null {
  if (got.length !== expected.length) return `${got.length} values, expected ${expected.length}`;
  const at = got.findIndex((value, index) => value !== expected[index]);
  return at < 0 ? null : `value ${at} is ${got[at]}, expected ${expected[at]}`;
}
