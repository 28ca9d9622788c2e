/** @file `npm run golden -- DIR`: checks every golden file of a folder. */

import { existsSync } from 'node:fs';
import { checkAggregation } from './checks/aggregation.ts';
import { checkMetrics } from './checks/metrics.ts';
import { checkNoise } from './checks/noise.ts';
import { runGolden } from './runner.ts';
import type { Route } from './runner.ts';

const routes: readonly Route[] = [
  { pattern: /(^|\/)aggregation\.json$/, check: checkAggregation },
  { pattern: /(^|\/)metrics\.json$/, check: checkMetrics },
  { pattern: /(^|\/)noise\/noise\.json$/, check: checkNoise },
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
