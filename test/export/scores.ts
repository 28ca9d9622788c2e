/** @file An adapter that changes something, and the scores by which one tells what an export does. */

import { join } from 'node:path';
import { Engine } from '../../core/engine/engine.ts';
import { readAdapter, writeAdapter } from '../../core/model/adapter.ts';
import type { Adapter } from '../../core/model/adapter.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { openModel } from '../../core/model/open.ts';
import { Random } from '../../core/random.ts';

export const PROMPT = 'A fever of 39 degrees';

/** Writes an adapter for a model of the shape of `tiny` and reads it again. */
export async function writeRandomAdapter(folder: string, reference = 'tiny'): Promise<Adapter> {
  const configuration = { rank: 4, alpha: 12, targets: ['q_proj', 'v_proj', 'down_proj'] };
  const model = await openModel(reference);
  const tensors = new Map(initialAdapter(model.configuration, configuration, 3));
  // B starts at zero, where an adapter changes nothing.
  for (const [name, { data }] of tensors) {
    const random = new Random('export', name);
    if (name.includes('lora_B')) for (let i = 0; i < data.length; i++) data[i] = random.uniform() - 0.5;
  }
  await writeAdapter(folder, { configuration, tensors }, model);
  const written = readAdapter(folder, model);
  model.close();
  return written;
}

/** Scores of the first token that follows the prompt, in float32. */
export async function nextScores(
  reference: string,
  { adapter, cache }: { adapter: Adapter | null; cache: string },
): Promise<Float32Array> {
  const model = await openModel(reference);
  const options = { precision: 'f32', device: 'cpu', cache: join(cache, 'cache') } as const;
  const engine = new Engine(model.weights, options);
  try {
    let found = new Float32Array();
    const continued = engine.generate({
      prompt: [...model.tokenizer.encode(PROMPT, { special: false }).ids],
      adapter: adapter && { configuration: adapter.configuration, parameters: adapter.tensors },
      exact: true,
      choose: (logits) => {
        found = Float32Array.from(logits);
        return 0;
      },
    });
    await continued.next();
    await continued.return();
    return found;
  } finally {
    await engine.release();
    model.close();
  }
}
