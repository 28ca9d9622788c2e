/** @file What checks of the engine share: batches of a file, engines over a model, adapters. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Precision } from '../../../core/engine/precisions.ts';
import { paddedBatch, type EngineBatch } from '../../../core/engine/batch.ts';
import { Engine } from '../../../core/engine/engine.ts';
import { readAdapter } from '../../../core/model/adapter.ts';
import type { Adapter } from '../../../core/model/adapter.ts';
import type { WeightStore } from '../../../core/model/weights.ts';

const matrix = z.array(z.array(z.number()));

/** A batch as the files write it. */
export const batchShape = z.object({ input_ids: matrix, attention_mask: matrix, labels: matrix });

export function engineBatch(file: z.infer<typeof batchShape>): EngineBatch {
  const texts = file.input_ids.map((ids, row) => {
    const mask = file.attention_mask[row];
    const [start, end] = [mask.indexOf(1), mask.lastIndexOf(1) + 1];
    return { ids: ids.slice(start, end), labels: file.labels[row].slice(start, end), start };
  });
  return paddedBatch(texts, 0);
}

/** Runs `use` with an engine over the weights, and frees both. */
export async function withEngine<Result>(
  weights: WeightStore,
  precision: Precision,
  use: (engine: Engine) => Promise<Result>,
): Promise<Result> {
  const cache = mkdtempSync(join(tmpdir(), 'tributary-golden-'));
  const engine = new Engine(weights, { precision, device: 'cpu', cache });
  try {
    return await use(engine);
  } finally {
    await engine.release();
    weights.close();
    rmSync(cache, { recursive: true });
  }
}

/** The adapter that lies beside a golden model. */
export function goldenAdapter(folder: string, { configuration }: WeightStore): Adapter {
  return readAdapter(join(folder, 'adapter'), { identity: { id: folder, sha256: '' }, configuration });
}
