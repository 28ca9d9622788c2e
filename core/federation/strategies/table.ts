/** @file The table of strategies: a new one is a file of its own and a row here. */

import { z } from 'zod';
import { fedadagrad } from './fedadagrad.ts';
import { fedadam } from './fedadam.ts';
import { fedavg } from './fedavg.ts';
import { fedavgm } from './fedavgm.ts';
import { fedprox } from './fedprox.ts';
import { fedyogi } from './fedyogi.ts';
import { local } from './local.ts';
import { scaffold } from './scaffold.ts';

export const STRATEGIES = { fedavg, fedprox, scaffold, fedavgm, fedadagrad, fedyogi, fedadam, local };

/** What a site does in a round of a plan's strategy besides plain local training. */
export function clientOf({ name }: { readonly name: keyof typeof STRATEGIES }) {
  return STRATEGIES[name].client;
}

/** Parts of an update under a plan's strategy, `weights` first; none where sites train alone. */
export function partsOf(strategy: { readonly name: keyof typeof STRATEGIES }): string[] {
  return Object.keys(STRATEGIES[strategy.name].create(strategy).parts);
}

/** `federation.strategy` of a plan. */
export const strategySchema = z.discriminatedUnion('name', [
  fedavg.schema,
  fedprox.schema,
  scaffold.schema,
  fedavgm.schema,
  fedadagrad.schema,
  fedyogi.schema,
  fedadam.schema,
  local.schema,
]);
