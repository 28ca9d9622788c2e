/** @file `npm run golden -- DIR`: checks every golden file of a folder. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findInCatalogue, modelFolder } from '../../core/model/catalogue.ts';
import type { Check } from './check.ts';
import { checkAggregation } from './checks/aggregation.ts';
import { checkBatch } from './checks/batch.ts';
import { checkMetrics } from './checks/metrics.ts';
import { checkChatTemplate, checkDequant, checkTokenizer } from './checks/model.ts';
import { checkNoise } from './checks/noise.ts';
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
  { pattern: /(^|\/)smollm2\/dequant\.json$/, check: withModel(checkDequant) },
  { pattern: /(^|\/)smollm2\/tokenizer\.jsonl$/, check: withModel(checkTokenizer) },
  { pattern: /(^|\/)smollm2\/chat-template\.jsonl$/, check: withModel(checkChatTemplate) },
  { pattern: /(^|\/)smollm2\/sft\.json$/, check: withModel(checkBatch) },
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
