/**
 * @file Whether PEFT reads our adapters: `npm run interop -- MODEL ADAPTER PYTHON` compares the logits of Python's
 * transformers and PEFT with Tributary's, on the same base and adapter.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { z } from 'zod';
import { paddedBatch } from '../../core/engine/batch.ts';
import { Engine } from '../../core/engine/engine.ts';
import { readAdapter } from '../../core/model/adapter.ts';
import { findInCatalogue, modelFolder } from '../../core/model/catalogue.ts';
import { openModel } from '../../core/model/open.ts';

/** Largest difference of a logit that counts as the same. */
const TOLERANCE = 1e-2;
const PROMPTS = [
  'Is it normal that my heart skips a beat after coffee?',
  'How long does a rash from a new soap last?',
  'The bank raised its forecast for the year.',
];

const answers = z.array(z.object({ adapter: z.array(z.number()), base: z.array(z.number()) }));
const largest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((worst, value, index) => Math.max(worst, Math.abs(value - b[index])), 0);

const [reference, adapterFolder, python = 'python3'] = process.argv.slice(2);
const entry = findInCatalogue(reference);
const scratch = mkdtempSync(join(tmpdir(), 'tributary-interop-'));
const model = await openModel(reference);
const engine = new Engine(model.weights, { precision: 'f32', device: 'cpu', cache: scratch });
try {
  const { configuration, tensors } = readAdapter(adapterFolder, model);
  const rows = PROMPTS.map((prompt) => model.tokenizer.encode(prompt, { special: true }).ids);
  const files = { tokens: join(scratch, 'tokens.json'), out: join(scratch, 'logits.json') };
  writeFileSync(files.tokens, JSON.stringify(rows));
  const script = join(import.meta.dirname, '..', 'test', 'interop', 'peft_logits.py');
  const path = entry ? join(modelFolder(), entry.file) : reference;
  execFileSync(python, [script, path, adapterFolder, files.tokens, files.out], { stdio: 'inherit' });
  const expected = answers.parse(JSON.parse(readFileSync(files.out, 'utf8')));
  let worst = 0;
  for (const [index, ids] of rows.entries()) {
    const batch = paddedBatch([{ ids }], 0);
    const last = [ids.length - 1];
    const adapted = await engine.logits(batch, last, { configuration, parameters: tensors });
    const base = await engine.logits(batch, last, null);
    const difference = Math.max(
      largest(adapted, expected[index].adapter),
      largest(base, expected[index].base),
    );
    console.log(`row ${index + 1}: largest difference of a logit ${difference.toExponential(2)}`);
    worst = Math.max(worst, difference);
  }
  console.log(worst <= TOLERANCE ? '1 passed, 0 failed' : '0 passed, 1 failed');
  process.exitCode = worst <= TOLERANCE ? 0 : 1;
} finally {
  await engine.release();
  model.close();
  rmSync(scratch, { recursive: true, force: true });
}
