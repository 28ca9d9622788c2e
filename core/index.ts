/**
 * @file The library: what a program of one's own may use, beside the command line. Everything here is documented where
 * it is defined; what is not here may change without notice.
 *
 * ```ts
 * import { openModel, readPlan, scoresOf, simulate } from 'tributary';
 *
 * const plan = readPlan('{ "name": "trial", "model": "tiny", "federation": { "rounds": 3 } }');
 * const { identity, configuration } = await openModel('tiny');
 * const model = { id: identity.id, sha256: identity.sha256 };
 * const result = await simulate({ plan, model, configuration, data: 'rows.jsonl', sites: 4, folder: 'results' });
 * ```
 */

// Errors: every failure a person can meet.
export { TributaryError, toTributaryError } from './errors.ts';
export type { ErrorCode } from './errors.ts';

// Plans.
export { pinPlan, planHash, planJsonSchema, readPlan } from './federation/plan.ts';
export type { Plan, PlanRequest } from './federation/plan.ts';
export { learningRateOfRound, trainableMatrices } from './federation/schedule.ts';

// Models and adapters.
export { openModel } from './model/open.ts';
export type { OpenModel } from './model/open.ts';
export { readAdapter, writeAdapter } from './model/adapter.ts';
export { initialAdapter } from './model/lora.ts';
export type { NamedTensors, Tensor } from './model/tensor.ts';

// Strategies: those of plans, the sums they see, and a file of one's own.
export { STRATEGIES } from './federation/strategies/table.ts';
export { averageByExamples, setMomentum, updateMomentum } from './federation/strategies/strategy.ts';
export type { Part, PartSum, Strategy, TensorRound } from './federation/strategies/strategy.ts';
export { createAccumulator, initialState, toState } from './federation/aggregation.ts';
export { loadStrategy } from './simulation/strategy-file.ts';
export type { CustomStrategy, LoadedStrategy } from './simulation/strategy-file.ts';

// Simulation: in one call, or its parts.
export { simulate } from './simulation/simulate.ts';
export type { Simulation, SimulationOptions } from './simulation/simulate.ts';
export { readRows } from './simulation/rows.ts';
export type { Row, Rows } from './simulation/rows.ts';
export { divide, PARTITIONS } from './simulation/partitions/table.ts';
export type { Division, PartitionOptions } from './simulation/partitions/table.ts';
export { runFederated } from './simulation/federated.ts';
export type { FederatedRun, RoundOutcome, VirtualSite } from './simulation/federated.ts';
export { pooled, trainAlone } from './simulation/alone.ts';
export { advantage, scoresOf } from './simulation/comparison.ts';
export type { Estimate, Score } from './simulation/comparison.ts';
export type { Combination, Sweep } from './simulation/sweep.ts';
export { createEngineTrainer } from './site/engine-trainer.ts';
export type { RoundRequest, RoundResult, RoundTrainer } from './site/trainer.ts';
export { openBlobStore } from './federation/blobs.ts';

// Private rows of a site: files, mappings, encrypted datasets.
export { inspectFile } from './vault/inspect.ts';
export { openVault } from './vault/vault.ts';
export type { Dataset, ImportOptions, Mapping, Vault } from './vault/vault.ts';

// Evaluation.
export { evaluateFile } from './evaluation/file.ts';
export { findTasks, listTasks } from './evaluation/tasks/catalogue.ts';
export { compareRuns, evaluateTask } from './evaluation/tasks/evaluate.ts';
export type { TaskReport, TaskRun } from './evaluation/tasks/evaluate.ts';
export type { Examinee, Outcome } from './evaluation/tasks/outcomes.ts';
export { readTaskRows } from './evaluation/tasks/rows.ts';
export { taskSchema } from './evaluation/tasks/schema.ts';
export type { Suite, Task } from './evaluation/tasks/schema.ts';
export { Trainer } from './training/trainer.ts';
export { bootstrapInterval, bootstrapStatistic } from './evaluation/metrics/bootstrap.ts';
