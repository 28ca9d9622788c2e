/**
 * @file A million rows through the vault: `node test/bench/vault.js [ROWS] [personal]`. Measures the import of a CSV file
 * (with `personal` also with all personal data masked), the first page, a search through all rows, and how long after
 * cancelling a search ends. Prints one line of JSON.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openVault } from '../../out/core.js';

const rows = Number(process.argv[2] ?? 1_000_000);
const personal = process.argv[3] === 'personal' ? { name: 'mask', phone: 'mask' } : undefined;
const folder = mkdtempSync(join(tmpdir(), 'tributary-bench-vault-'));
const file = join(folder, 'rows.csv');
const words =
  'rest water fever cough answer daily clinic number treatment morning evening doctor report normal'.split(
    ' ',
  );

const handle = openSync(file, 'w');
writeSync(handle, 'patient,question,answer\n');
for (let row = 0; row < rows;) {
  let piece = '';
  for (let line = 0; line < 1000 && row < rows; line++, row++) {
    const text = Array.from({ length: 30 }, (_, at) => words[(row * 7 + at * at) % words.length]).join(' ');
    piece += `p${row % 50_000},What helps in case ${row}?,"${text}, and then ${row}."\n`;
  }
  writeSync(handle, piece);
}
closeSync(handle);

const vault = openVault(join(folder, 'vault.sqlite'), { key: randomBytes(32) });
const seconds = (began) => (performance.now() - began) / 1000;
const report = { rows, fileBytes: statSync(file).size };

let began = performance.now();
await vault.importFile(file, {
  as: 'rows',
  mapping: { kind: 'instruction', fields: { instruction: 'question', response: 'answer' } },
  person: 'patient',
  split: { validation: 0.1, test: 0.1 },
  personal,
});
report.importSeconds = seconds(began);
report.peakRssBytes = process.resourceUsage().maxRSS * 1024;

began = performance.now();
const page = vault.page('rows', 0, 50);
report.firstPageSeconds = seconds(began);
began = performance.now();
vault.page('rows', rows - 50, 50);
report.lastPageSeconds = seconds(began);

/** Looks for a text and gives the number of hits. */
async function search(text, options) {
  let hits = 0;
  for await (const hit of vault.search('rows', text, options)) {
    hits += 1;
    report.hitPosition = hit.position;
  }
  return hits;
}
began = performance.now();
const hits = await search(`and then ${rows - 1}.`);
report.searchSeconds = seconds(began);

const abort = new globalThis.AbortController();
let cancelled = 0;
const onProgress = () => {
  if (abort.signal.aborted) return;
  cancelled = performance.now();
  abort.abort(new Error('cancelled'));
};
await search('nowhere to be found', { signal: abort.signal, onProgress }).catch(() => undefined);
report.cancelSeconds = seconds(cancelled);
vault.close();
rmSync(folder, { recursive: true });
if (page.rows.length !== 50 || hits !== 1) throw new Error('The vault did not give the rows back.');
console.log(JSON.stringify(report));
