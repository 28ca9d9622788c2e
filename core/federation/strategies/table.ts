/** @file The table of strategies: a new one is a file of its own and a row here. */

import { z } from 'zod';
import { fedadagrad } from './fedadagrad.ts';
import { fedadam } from './fedadam.ts';
import { fedavg } from './fedavg.ts';
import { fedavgm } from './fedavgm.ts';
import { fedprox } from './fedprox.ts';
import { fedyogi } from './fedyogi.ts';
import { scaffold } from './scaffold.ts';

export const STRATEGIES = { fedavg, fedprox, scaffold, fedavgm, fedadagrad, fedyogi, fedadam };

/** `federation.strategy` of a plan. */
export const strategySchema = z.discriminatedUnion('name', [
  fedavg.schema,
  fedprox.schema,
  scaffold.schema,
  fedavgm.schema,
  fedadagrad.schema,
  fedyogi.schema,
  fedadam.schema,
]);
