/** @file What comes of the rows of a task, and the metrics over them. */

import type {
  AnswersRequest,
  AnswersResult,
  PreferenceRequest,
  PreferenceResult,
} from '../../training/requests.ts';
import type { ScoreRequest, ScoreResult } from '../../training/requests.ts';
import { metric, type Metric } from '../file.ts';
import { bootstrapInterval, bootstrapStatistic } from '../metrics/bootstrap.ts';
import { classify } from '../metrics/classification.ts';
import { meanInterval } from '../metrics/interval.ts';

/** What tasks ask of a model: a trainer, in this process or another. */
export interface Examinee {
  scoreAnswers(request: ScoreRequest): Promise<ScoreResult>;
  answerPrompts(request: AnswersRequest): Promise<AnswersResult>;
  evaluatePreferences(request: PreferenceRequest): Promise<PreferenceResult>;
}

/** What came of one row. */
export interface Outcome {
  /** Its place among the rows that were to be asked. */
  readonly row: number;
  /** Each mean over the rows is a metric. */
  readonly values: Readonly<Record<string, number>>;
  /** Where a label is chosen: the right one and the chosen one. */
  readonly label?: { readonly truth: string; readonly predicted: string };
}

/** Why rows could not be used. */
export type Reason = 'incomplete' | 'unknownAnswer' | 'tooLong';

export interface Measured {
  readonly outcomes: readonly Outcome[];
  /** How many rows were left out for which reason. */
  readonly leftOut: Readonly<Partial<Record<Reason, number>>>;
}

/** Each metric as a function of any selection of outcomes. */
function statisticsOf(outcomes: readonly Outcome[]): Map<string, (selected: readonly Outcome[]) => number> {
  const statistics = new Map<string, (selected: readonly Outcome[]) => number>();
  const [first] = outcomes;
  if (first === undefined) return statistics;
  if (first.label) {
    for (const name of ['macroF1', 'weightedF1'] as const) {
      statistics.set(name, (selected) => {
        const labels = selected.flatMap(({ label }) => label ?? []);
        return classify(
          labels.map(({ truth }) => truth),
          labels.map(({ predicted }) => predicted),
        )[name];
      });
    }
  }
  return statistics;
}

/** The metrics with their 95 % intervals over the rows: Wilson's for shares, else percentile bootstrap, seeded, 1 000 resamples. */
export function metricsOf(outcomes: readonly Outcome[]): Record<string, Metric> {
  const names = Object.keys(outcomes[0]?.values ?? {});
  const means = names.map((name): [string, Metric] => [
    name,
    metric(meanInterval(outcomes.map(({ values }) => values[name]))),
  ]);
  const others = [...statisticsOf(outcomes)].map(([name, statistic]): [string, Metric] => [
    name,
    metric(bootstrapStatistic(outcomes, statistic)),
  ]);
  return Object.fromEntries([...means, ...others]);
}

/**
 * By how much each metric of `after` exceeds that of `before`, over the rows that both have: the interval is that of
 * the paired bootstrap, which draws rows and not models.
 */
export function differencesOf(before: readonly Outcome[], after: readonly Outcome[]): Record<string, Metric> {
  const known = new Map(before.map((outcome) => [outcome.row, outcome]));
  const pairs = after.flatMap((later) => {
    const earlier = known.get(later.row);
    return earlier ? [{ earlier, later }] : [];
  });
  if (pairs.length === 0) return {};
  const means = Object.keys(pairs[0].later.values).map((name): [string, Metric] => [
    name,
    metric(bootstrapInterval(pairs.map(({ earlier, later }) => later.values[name] - earlier.values[name]))),
  ]);
  const others = [...statisticsOf(after)].map(([name, statistic]): [string, Metric] => [
    name,
    metric(
      bootstrapStatistic(
        pairs,
        (selected) =>
          statistic(selected.map(({ later }) => later)) - statistic(selected.map(({ earlier }) => earlier)),
      ),
    ),
  ]);
  return Object.fromEntries([...means, ...others]);
}
