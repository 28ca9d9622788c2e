/** @file Which datasets a plan can use, and why not the others. */

import { toTributaryError } from '../../errors.ts';
import type { TributaryError } from '../../errors.ts';
import type { Plan } from '../../federation/plan.ts';
import { readExamples } from '../../site/examples.ts';
import { passGate } from '../../site/policy.ts';
import type { Site } from '../../site/site.ts';
import type { Dataset, Vault } from '../../vault/vault.ts';
import type { Output } from '../contract.ts';
import { refusalOf } from '../problem.ts';

export type UsableDataset = Output<'runs.plan'>['datasets'][number];

/**
 * Gives every dataset with why a plan cannot use it, those that it can use first. Reading all rows takes its time, so
 * each version, which never changes, is read once for each kind of plan.
 */
export function createUsableDatasets(): (site: Site, plan: Plan) => UsableDataset[] {
  const known = new Map<string, number | TributaryError>();

  function countOf(vault: Vault, { id, reference }: Dataset, plan: Plan): number {
    const { objective, data, evaluation } = plan;
    const key = JSON.stringify([id, objective, data, evaluation]);
    const found = known.get(key) ?? count(vault, reference, plan);
    known.set(key, found);
    if (typeof found === 'number') return found;
    throw found;
  }

  return ({ context: { vault, policies } }, plan) => {
    const all = vault.datasets().map((dataset): UsableDataset => {
      const { name, rows } = dataset;
      const refused = refusalOf(() => {
        const examples = countOf(vault, dataset, plan);
        passGate(policies(), { kind: 'dataset', dataset: name, examples });
      });
      return { name, rows, refused };
    });
    return [
      ...all.filter(({ refused }) => refused === null),
      ...all.filter(({ refused }) => refused !== null),
    ];
  };
}

function count(vault: Vault, reference: string, plan: Plan): number | TributaryError {
  try {
    return readExamples(vault, reference, plan).examples.length;
  } catch (thrown) {
    return toTributaryError(thrown);
  }
}
