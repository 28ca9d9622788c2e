/** @file `npm run golden -- DIR`: checks every golden file of a folder. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findInCatalogue, modelFolder } from '../../core/model/catalogue.ts';
import type { Check } from './check.ts';
import { checkAdamW } from './checks/adamw.ts';
import { checkAggregation } from './checks/aggregation.ts';
import { checkBatch } from './checks/batch.ts';
import { checkBlocks } from './checks/blocks.ts';
import { checkDpo } from './checks/dpo.ts';
import { checkFedProx } from './checks/fedprox.ts';
import { checkForward } from './checks/forward.ts';
import { checkLogits } from './checks/logits.ts';
import { checkMetrics } from './checks/metrics.ts';
import { checkChatTemplate, checkDequant, checkTokenizer } from './checks/model.ts';
import { checkNoise } from './checks/noise.ts';
import { checkScaffold } from './checks/scaffold.ts';
import { checkSentencePiece, checkSplits } from './checks/sentencepiece.ts';
import { checkSft } from './checks/sft.ts';
import { runGolden } from './runner.ts';
import type { Route } from './runner.ts';

const MODEL = 'smollm2-135m-instruct';

/** A check that reads the bundled model: skipped, saying so, where it has not been fetched. */
function withModel(check: (file: string, model: string) => Check[] | Promise<Check[]>): Route['check'] {
  const entry = findInCatalogue(MODEL);
  const model = entry && join(modelFolder(), entry.file);
  if (model !== undefined && existsSync(model)) return (file) => check(file, model);
  const detail = `needs the model; run \`npx tributary models fetch ${MODEL}\``;
  return () => [{ name: '', status: 'skipped', detail }];
}

const routes: readonly Route[] = [
  { pattern: /(^|\/)aggregation\.json$/, check: checkAggregation },
  { pattern: /(^|\/)metrics\.json$/, check: checkMetrics },
  { pattern: /(^|\/)noise\/noise\.json$/, check: checkNoise },
  { pattern: /(^|\/)sentencepiece\/tokenizers\.json$/, check: checkSentencePiece },
  { pattern: /(^|\/)pretokenizers\/splits\.jsonl$/, check: checkSplits },
  { pattern: /(^|\/)smollm2\/dequant\.json$/, check: withModel(checkDequant) },
  { pattern: /(^|\/)smollm2\/tokenizer\.jsonl$/, check: withModel(checkTokenizer) },
  { pattern: /(^|\/)smollm2\/chat-template\.jsonl$/, check: withModel(checkChatTemplate) },
  { pattern: /(^|\/)gguf-blocks\/blocks\.json$/, check: checkBlocks },
  { pattern: /(^|\/)forward\.json$/, check: checkForward },
  { pattern: /(^|\/)adamw\.json$/, check: checkAdamW },
  { pattern: /(^|\/)dpo\.json$/, check: checkDpo },
  { pattern: /(^|\/)fedprox\/fedprox\.json$/, check: checkFedProx },
  { pattern: /(^|\/)scaffold\/scaffold\.json$/, check: checkScaffold },
  {
    pattern: /(^|\/)smollm2\/logits\.json$/,
    check: withModel(async (file, model) => [
      ...(await checkLogits(file, model, { precision: 'f32' })),
      ...(await checkLogits(file, model, { precision: 'int4' })),
    ]),
  },
  {
    pattern: /(^|\/)smollm2\/sft\.json$/,
    check: withModel(async (file, model) => [
      ...checkBatch(file, model),
      ...(await checkSft(file, model, 'f32')),
      ...(await checkSft(file, model, 'int4')),
    ]),
  },
];

const folder = process.argv[2];
if (folder === undefined || !existsSync(folder)) {
  console.error(
    folder === undefined
      ? 'usage.invalid: No folder was named. Run `npm run golden -- DIR`.'
      : `file.not-found: There is no folder ${folder}. Check the path.`,
  );
  process.exitCode = 2;
} else {
  const { passed, failed, skipped } = await runGolden(folder, routes, (line) => console.log(line));
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  process.exitCode = failed > 0 ? 1 : 0;
}
