/** @file Evaluation on a file of examples: loss, perplexity and, where the answers are labels, accuracy. */

import { readJsonl, type Example } from '../training/examples.ts';
import type { EvaluateResult, TextOptions } from '../training/requests.ts';
import { bootstrapStatistic, type Interval } from './metrics/bootstrap.ts';
import { classify } from './metrics/classification.ts';
import { meanInterval } from './metrics/interval.ts';

export interface FileEvaluation extends TextOptions {
  readonly file: string;
  readonly batchSize: number;
  readonly skipBad: boolean;
}

/** Computes losses of examples: a trainer, in this process or another. */
export type Evaluate = (
  request: TextOptions & { examples: readonly Example[]; batchSize: number },
) => Promise<EvaluateResult>;

/** A value with its 95 % interval over the examples (Wilson's for a share, otherwise percentile bootstrap). */
export interface Metric {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface EvaluationReport {
  /** Examples that were scored. */
  readonly n: number;
  /** Broken lines, and examples of which nothing supervised was left. */
  readonly skipped: number;
  readonly metrics: Readonly<Record<string, Metric>>;
}

type Scored = EvaluateResult['examples'][number];

/** Answers count as labels when a file has at most so many different ones, each of at most so many words. */
const LABELS = { most: 20, words: 3 };

/**
 * `loss` and `perplexity` per supervised token. In a file of labels also `accuracy` and `macroF1`: the predicted
 * label is the one with the largest probability as an answer.
 * @throws TributaryError `data.broken-line`, `data.empty`, `data.all-truncated`
 */
export async function evaluateFile(options: FileEvaluation, evaluate: Evaluate): Promise<EvaluationReport> {
  const { file, skipBad, ...request } = options;
  const { examples, skipped } = await readJsonl(file, { objective: 'sft', skipBad });
  const result = await evaluate({ ...request, examples });
  const sum = (items: readonly Scored[], key: 'loss' | 'tokens') =>
    items.reduce((total, item) => total + item[key], 0);
  const loss = metric(
    bootstrapStatistic(result.examples, (items) => sum(items, 'loss') / sum(items, 'tokens')),
  );
  const labels = labelsOf(examples);
  return {
    n: result.examples.length,
    skipped: skipped.length + result.skipped,
    metrics: {
      loss,
      perplexity: { value: Math.exp(loss.value), low: Math.exp(loss.low), high: Math.exp(loss.high) },
      ...(labels && (await labelMetrics({ ...request, examples, labels }, evaluate))),
    },
  };
}

export function metric({ mean, lower, upper }: Interval): Metric {
  return { value: mean, low: lower, high: upper };
}

function answerOf(example: Example): string {
  return example.messages[example.messages.length - 1].content.trim();
}

/** The different answers, sorted, if the file is one of labels. */
function labelsOf(examples: readonly Example[]): string[] | null {
  const answers = [...new Set(examples.map(answerOf))].sort();
  const short = answers.every((answer) => answer.split(/\s+/).length <= LABELS.words);
  return short && answers.length >= 2 && answers.length <= LABELS.most && answers.length < examples.length
    ? answers
    : null;
}

async function labelMetrics(
  request: TextOptions & { examples: readonly Example[]; batchSize: number; labels: readonly string[] },
  evaluate: Evaluate,
): Promise<Record<string, Metric>> {
  const { examples, labels, ...rest } = request;
  const candidates = examples.flatMap(({ messages }) =>
    labels.map((content): Example => ({
      kind: 'conversation',
      messages: [...messages.slice(0, -1), { role: 'assistant', content }],
    })),
  );
  const scored = await evaluate({ ...rest, examples: candidates });
  const best = examples.map(() => ({ loss: Infinity, label: '' }));
  for (const { index, loss } of scored.examples) {
    const item = Math.floor(index / labels.length);
    if (loss < best[item].loss) best[item] = { loss, label: labels[index % labels.length] };
  }
  const kept = examples.flatMap((example, item) =>
    best[item].loss < Infinity ? [{ truth: answerOf(example), predicted: best[item].label }] : [],
  );
  const hits = kept.map(({ truth, predicted }) => (truth === predicted ? 1 : 0));
  const macroF1 = (items: readonly (typeof kept)[number][]) =>
    classify(
      items.map(({ truth }) => truth),
      items.map(({ predicted }) => predicted),
    ).macroF1;
  return { accuracy: metric(meanInterval(hits)), macroF1: metric(bootstrapStatistic(kept, macroF1)) };
}
