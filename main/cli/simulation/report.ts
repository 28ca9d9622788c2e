/** @file What `tributary simulate` says of a sweep: a table for a person, the fields of its result. */

import { advantage, scoresOf } from '../../../core/simulation/comparison.ts';
import type { Comparable } from '../../../core/simulation/comparison.ts';
import type { Combination, Sweep } from '../../../core/simulation/sweep.ts';
import type { CommandContext } from '../command.ts';
import { formatTable } from '../format.ts';

/** Outcomes by model, one entry a seed. */
function comparable({ combinations }: Sweep): Comparable {
  const kinds: Record<string, Combination['result']['members'][]> = {};
  for (const { model, result } of combinations) {
    (kinds[model] ??= []).push(result.members);
    if (result.personal !== undefined) (kinds[ownCopies(model)] ??= []).push(result.personal);
  }
  return kinds;
}

/** The sites' own copies of a model, as a row of their own. */
function ownCopies(model: string): string {
  return `${model}, own copies`;
}

/** The models and, after each, its own copies where there are any. */
function withOwnCopies(models: readonly string[], kinds: Comparable): string[] {
  return models.flatMap((name) => [name, ownCopies(name)].filter((each) => Object.hasOwn(kinds, each)));
}

const NAMES: Readonly<Record<string, string>> = {
  base: 'base model',
  local: 'a site alone (mean)',
  centralised: 'all rows together',
};

/** Prints the table and by how much each model is ahead of a site alone. */
export function report(
  { output }: CommandContext,
  sweep: Sweep,
  { models: asked, seeds }: { models: readonly string[]; seeds: readonly number[] },
): void {
  const kinds = comparable(sweep);
  const models = withOwnCopies(asked, kinds);
  const scores = scoresOf(kinds);
  const hasAccuracy = scores.base.accuracy !== undefined;
  const interval = (bounds: readonly [number, number], digits: number): string =>
    bounds.map((bound) => bound.toFixed(digits)).join(' to ');
  const table = formatTable(
    ['model', 'loss', '95 %', 'perplexity', '95 %', ...(hasAccuracy ? ['accuracy', '95 %'] : [])],
    ['base', ...models].map((name) => {
      const { loss, perplexity, accuracy, intervals } = scores[name];
      return [
        NAMES[name] ?? name,
        loss.toFixed(4),
        interval(intervals.loss, 4),
        perplexity.toFixed(2),
        interval(intervals.perplexity, 2),
        ...(accuracy !== undefined ? [accuracy.toFixed(3), interval(intervals.accuracy, 3)] : []),
      ];
    }),
  );
  for (const line of table) output.line(`  ${line}`);
  if (seeds.length > 1) output.line(`Means over ${seeds.length} seeds; intervals draw seeds and rows.`);
  if (!models.includes('local')) return;
  for (const name of models.filter((own) => own !== 'local')) {
    const { loss, accuracy } = advantage(kinds, [name, 'local']);
    const parts = [`loss ${loss.value.toFixed(4)} lower (${interval([loss.low, loss.high], 4)})`];
    if (hasAccuracy) {
      parts.push(
        `accuracy ${accuracy.value.toFixed(3)} higher (${interval([accuracy.low, accuracy.high], 3)})`,
      );
    }
    output.line(`${NAMES[name] ?? name} against a site alone, row by row: ${parts.join(', ')}.`);
  }
}

/** The fields that the demonstration's result has, of the first seed and strategy, and those of all. */
export function resultOf(sweep: Sweep, asked: readonly string[]): Record<string, unknown> {
  const { combinations, federations } = sweep;
  const kinds = comparable(sweep);
  const models = withOwnCopies(asked, kinds);
  const { base, local, centralised, ...strategies } = scoresOf(kinds);
  const [first] = models.filter((name) => Object.hasOwn(strategies, name));
  const shown = combinations.find(({ model }) => model === first);
  const federation = federations[0];
  return {
    sites: federation.sites.map(({ name, train, heldOut }) => ({
      name,
      rows: train.length,
      heldOut: heldOut.length,
      cohortRounds: shown?.result.cohortRounds[name] ?? 0,
    })),
    heldOutRows: federation.heldOut.length,
    rounds: shown?.result.rounds ?? [],
    evaluation: {
      base,
      ...(local && { local }),
      ...(first !== undefined && { federated: strategies[first] }),
      ...(centralised && { centralised }),
      strategies,
      ...(local && {
        advantageOverLocal: Object.fromEntries(
          models.filter((name) => name !== 'local').map((name) => [name, advantage(kinds, [name, 'local'])]),
        ),
      }),
    },
    adapter: shown?.adapter ?? null,
    combinations: combinations.map(({ seed, model, adapter, kept, result }) => {
      const scores = scoresOf({ [model]: [result.members] })[model];
      return { seed, model, adapter, kept, seconds: result.seconds, rounds: result.rounds, ...scores };
    }),
  };
}
