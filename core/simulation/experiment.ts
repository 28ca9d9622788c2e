/** @file From a plan and rows to the federation of one seed: its sites, what each holds out, what round 0 starts from. */

import { TributaryError } from '../errors.ts';
import { sha256 } from '../federation/canonical.ts';
import { encodeTensors } from '../federation/codec.ts';
import { pinPlan } from '../federation/plan.ts';
import type { ModelIdentity, Plan, PlanRequest } from '../federation/plan.ts';
import type { ModelConfiguration } from '../model/configuration.ts';
import { initialAdapter } from '../model/lora.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';
import type { VirtualSite } from './federated.ts';
import { divide } from './partitions/table.ts';
import type { PartitionName } from './partitions/table.ts';
import type { Row, Rows } from './rows.ts';
import { holdOut } from './split.ts';

/** Everything that decides a simulation but its seed and its strategy. */
export interface Experiment {
  readonly plan: PlanRequest;
  readonly model: ModelIdentity;
  /** The model's dimensions. */
  readonly configuration: ModelConfiguration;
  readonly rows: Rows;
  readonly partition: {
    readonly name: PartitionName;
    readonly sites?: number;
    readonly alpha: number;
    readonly by?: string;
  };
  /** Share of each site's rows that is held out where the data bring no held-out rows of their own. */
  readonly heldOutShare: number;
  /** What round 0 starts from; a fresh adapter without it. */
  readonly start?: NamedTensors;
}

/** A site with its rows as they lie in its share of the data. */
export interface SiteRows {
  readonly name: string;
  readonly train: readonly Row[];
  readonly heldOut: readonly Row[];
}

/** The federation of one seed. */
export interface Federation {
  readonly plan: Plan;
  readonly sites: readonly SiteRows[];
  /** Held-out rows of all sites together, on which every model is measured. */
  readonly heldOut: readonly (Example | PreferenceExample)[];
  readonly start: NamedTensors;
}

/**
 * Divides the rows and pins the plan. The seed takes the place of the plan's and decides the division, what is held
 * out, the first adapter and the order of rows.
 * @throws TributaryError `plan.*`, `simulation.*`
 */
export function federationOf(experiment: Experiment, seed: number): Federation {
  const { rows, partition, heldOutShare, configuration } = experiment;
  const divided = divide(rows.rows, partition.name, { ...partition, seed });
  const hasOwn = rows.heldOut.length > 0;
  const sites = [...divided].map(([name, own]): SiteRows => ({
    name,
    ...holdOut(own, hasOwn ? 0 : heldOutShare, [seed, name]),
  }));
  const heldOut = hasOwn ? rows.heldOut : sites.flatMap((site) => site.heldOut);
  const plan = planOf(experiment, seed);
  if (plan.training.maxLength > configuration.maximumPositions) {
    throw new TributaryError(
      'plan.invalid',
      `training.maxLength is ${plan.training.maxLength}, but ${plan.model.id} takes ${configuration.maximumPositions} tokens at most.`,
    );
  }
  return {
    plan,
    sites,
    heldOut: heldOut.map(({ example }) => example),
    start: experiment.start ?? initialAdapter(configuration, plan.adapter, seed),
  };
}

/** A site's rows as examples to train on. */
export function virtualSite({ name, train }: SiteRows): VirtualSite {
  return { name, examples: train.map(({ example }) => example) };
}

/** The plan as the hub would propose it. */
function planOf({ plan, model, start }: Experiment, seed: number): Plan {
  if (plan.adapter.start?.run !== undefined) {
    throw new TributaryError(
      'plan.unsupported',
      `adapter.start names the run ${plan.adapter.start.run}, and a simulation has no runs.`,
      { hint: 'Name the PEFT folder of its adapter with --start.' },
    );
  }
  const bytes = start && encodeTensors(start);
  return pinPlan({ ...plan, seed }, model, bytes && { hash: sha256(bytes), size: bytes.length });
}
