/** @file Checks the evaluation metrics against reference values. */

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { bootstrapInterval, mulberry32, resampleMeans } from '../../../core/evaluation/metrics/bootstrap.ts';
import { classify } from '../../../core/evaluation/metrics/classification.ts';
import { normaliseAnswer, scoreGsm8k } from '../../../core/evaluation/metrics/gsm8k.ts';
import { passAtK } from '../../../core/evaluation/metrics/pass-at-k.ts';
import { rouge } from '../../../core/evaluation/metrics/rouge.ts';
import type { Check } from '../check.ts';

const numbers = z.array(z.number());
const overlap = z.object({ precision: z.number(), recall: z.number(), f: z.number() });
const fileShape = z.object({
  classification: z.array(
    z.object({
      name: z.string(),
      y_true: z.array(z.string()),
      y_pred: z.array(z.string()),
      labels: z.array(z.string()),
      accuracy: z.number(),
      macro_f1: z.number(),
      weighted_f1: z.number(),
      micro_f1: z.number(),
      precision: numbers,
      recall: numbers,
      f1: numbers,
      support: numbers,
      confusion: z.array(numbers),
    }),
  ),
  rouge: z.array(
    z.object({
      reference: z.string(),
      prediction: z.string(),
      use_stemmer: z.boolean(),
      rouge1: overlap,
      rouge2: overlap,
      rougeL: overlap,
    }),
  ),
  pass_at_k: z.object({
    rows: z.array(z.object({ n: z.number(), c: z.number(), k: z.number(), pass_at_k: z.number() })),
    benchmark: z.object({
      tasks: z.array(z.object({ n: z.number(), c: z.number() })),
      pass_at_1: z.number(),
      pass_at_5: z.number(),
      pass_at_10: z.number(),
    }),
  }),
  gsm8k: z.array(
    z.object({
      prediction: z.string(),
      gold: z.string(),
      strict: z.string(),
      flexible: z.string(),
      gold_normalised: z.string(),
      strict_normalised: z.string(),
      flexible_normalised: z.string(),
      strict_match: z.boolean(),
      flexible_match: z.boolean(),
      numeric_match: z.boolean(),
    }),
  ),
  bootstrap: z.object({
    rng: z.object({ seed: z.number(), first_10: numbers }),
    cases: z.array(
      z.object({
        name: z.string(),
        seed: z.number(),
        resamples: z.number(),
        level: z.number(),
        values: numbers.optional(),
        a: numbers.optional(),
        b: numbers.optional(),
        mean: z.number().optional(),
        mean_difference: z.number().optional(),
        first_5_resample_means: numbers,
        lower: z.number(),
        upper: z.number(),
        bootstrap_standard_error: z.number(),
        fraction_of_resamples_at_or_below_zero: z.number().optional(),
      }),
    ),
  }),
});
type Vectors = z.infer<typeof fileShape>;

const TOLERANCE = 1e-12;

/** One check per kind of metric. */
export function checkMetrics(file: string): Check[] {
  const vectors = fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  return [
    check('classification', vectors.classification, differsInClassification),
    check('rouge', vectors.rouge, ({ reference, prediction, use_stemmer: stem, ...expected }) =>
      firstDifference(rouge(reference, prediction, { stem }), expected),
    ),
    check('pass@k', vectors.pass_at_k.rows, ({ n, c, k, pass_at_k }) =>
      firstDifference(passAtK(n, c, k), pass_at_k),
    ),
    check('pass@k of a benchmark', [vectors.pass_at_k.benchmark], ({ tasks, ...expected }) => {
      const mean = (k: number) => tasks.reduce((sum, { n, c }) => sum + passAtK(n, c, k), 0) / tasks.length;
      return firstDifference({ pass_at_1: mean(1), pass_at_5: mean(5), pass_at_10: mean(10) }, expected);
    }),
    check('gsm8k', vectors.gsm8k, differsInGsm8k),
    check('mulberry32', [vectors.bootstrap.rng], ({ seed, first_10 }) => {
      const uniform = mulberry32(seed);
      return firstDifference(first_10.map(uniform), first_10);
    }),
    check('bootstrap', vectors.bootstrap.cases, differsInBootstrap),
  ];
}

function check<Row>(name: string, rows: readonly Row[], difference: (row: Row) => string | null): Check {
  for (const [index, row] of rows.entries()) {
    const found = difference(row);
    if (found !== null) return { name, status: 'failed', detail: `row ${index}: ${found}` };
  }
  return { name, status: 'passed', detail: rows.length > 1 ? `${rows.length} rows` : undefined };
}

function differsInClassification(row: Vectors['classification'][number]): string | null {
  const { labels, confusion, ...got } = classify(row.y_true, row.y_pred);
  return firstDifference(
    {
      labels: labels.map(({ label }) => label),
      accuracy: got.accuracy,
      macro_f1: got.macroF1,
      weighted_f1: got.weightedF1,
      micro_f1: got.microF1,
      precision: labels.map(({ precision }) => precision),
      recall: labels.map(({ recall }) => recall),
      f1: labels.map(({ f1 }) => f1),
      support: labels.map(({ support }) => support),
      confusion,
    },
    row,
  );
}

function differsInGsm8k({ prediction, gold, ...expected }: Vectors['gsm8k'][number]): string | null {
  const got = scoreGsm8k(prediction, gold);
  return firstDifference(
    {
      strict: got.strict,
      flexible: got.flexible,
      gold_normalised: normaliseAnswer(gold),
      strict_normalised: normaliseAnswer(got.strict),
      flexible_normalised: normaliseAnswer(got.flexible),
      strict_match: got.strictMatch,
      flexible_match: got.flexibleMatch,
      numeric_match: got.numericMatch,
    },
    expected,
  );
}

function differsInBootstrap(row: Vectors['bootstrap']['cases'][number]): string | null {
  const values = row.values ?? row.a?.map((value, index) => value - (row.b?.[index] ?? NaN)) ?? [];
  const means = resampleMeans(values, row);
  const got = bootstrapInterval(values, row);
  const atOrBelowZero = means.filter((mean) => mean <= 0).length / row.resamples;
  return firstDifference(
    {
      [row.values ? 'mean' : 'mean_difference']: got.mean,
      lower: got.lower,
      upper: got.upper,
      bootstrap_standard_error: got.standardError,
      first_5_resample_means: [...means.slice(0, 5)],
      ...(row.values ? {} : { fraction_of_resamples_at_or_below_zero: atOrBelowZero }),
    },
    row,
  );
}

/** Where `got` differs from the value at the same place of `expected`, or null. */
function firstDifference(got: unknown, expected: unknown, path = ''): string | null {
  if (typeof got === 'number' && typeof expected === 'number') {
    return Math.abs(got - expected) <= TOLERANCE ? null : `${path} is ${got}, expected ${expected}`;
  }
  if (typeof got !== 'object' || got === null || typeof expected !== 'object' || expected === null) {
    return got === expected ? null : `${path} is ${String(got)}, expected ${String(expected)}`;
  }
  const wanted = new Map(Object.entries(expected));
  for (const [key, value] of Object.entries(got)) {
    const found = firstDifference(value, wanted.get(key), `${path}.${key}`);
    if (found !== null) return found;
  }
  return null;
}
