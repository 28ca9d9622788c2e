/** @file What a run's adapter starts from: that of a completed run, a PEFT folder, or a fresh one. */

import { TributaryError } from '../errors.ts';
import { encodeTensors, readTensors } from '../federation/codec.ts';
import { isPersonal } from '../federation/schedule.ts';
import type { AdapterStart, ModelIdentity, Plan, PlanRequest } from '../federation/plan.ts';
import { readAdapter } from '../model/adapter.ts';
import type { ModelConfiguration } from '../model/configuration.ts';
import { targetedLinears } from '../model/lora.ts';
import type { LoraConfiguration } from '../model/lora.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { HubContext } from './context.ts';
import { planOf } from './proposals.ts';

export interface StartRequest {
  readonly plan: PlanRequest;
  readonly model: ModelIdentity;
  /** The model's dimensions. */
  readonly configuration: ModelConfiguration;
  /** PEFT folder that the coordinator names beside the plan. */
  readonly folder?: string;
}

interface FoundAdapter {
  readonly name: string;
  readonly configuration: LoraConfiguration;
  readonly tensors: NamedTensors;
  readonly run?: string;
}

/**
 * Puts the adapter that the plan or the coordinator names into the hub's blobs, from where sites fetch it. Returns
 * null where the run starts afresh.
 * Throws `plan.invalid` where it does not fit the plan, `run.unknown`, `run.no-adapter`, `blob.*`, and what
 * `readAdapter` throws.
 */
export async function findStart(hub: HubContext, request: StartRequest): Promise<AdapterStart | null> {
  const { plan, folder: beside } = request;
  const { run, folder: named } = plan.adapter.start ?? {};
  const written = run === undefined ? named && `the folder ${named}` : `the run ${run}`;
  if (written !== undefined && beside !== undefined) {
    throw new TributaryError(
      'plan.invalid',
      `adapter.start names ${written}, and the folder ${beside} is named beside the plan; a run has one start.`,
    );
  }
  const folder = named ?? beside;
  if (run === undefined && folder === undefined) return null;
  const found = run === undefined ? fromFolder(request, folder ?? '') : await fromRun(hub, request, run);
  checkShape(request, found);
  const blob = await hub.blobs.put(encodeTensors(found.tensors));
  return { ...blob, ...(found.run !== undefined && { run: found.run }) };
}

function fromFolder({ model, configuration }: StartRequest, folder: string): FoundAdapter {
  return { name: folder, ...readAdapter(folder, { identity: model, configuration }) };
}

async function fromRun(hub: HubContext, { model }: StartRequest, id: string): Promise<FoundAdapter> {
  const run = hub.runs.run(id);
  if (run === null) throw new TributaryError('run.unknown', `The hub has no run ${id}.`);
  if (run.adapter === null) {
    throw new TributaryError('run.no-adapter', `${id} is ${run.state} and has no final adapter.`);
  }
  const plan: Plan = planOf(run);
  if (isPersonal(plan)) {
    const what = `${id} has left every site an adapter of its own, which never leaves it`;
    throw new TributaryError('run.no-adapter', `${what}; no run can start from it.`);
  }
  if (plan.model.sha256 !== model.sha256) {
    throw new TributaryError(
      'plan.invalid',
      `adapter.start names ${id}, which trained ${plan.model.id}; this plan trains ${model.id}.`,
    );
  }
  await hub.blobs.describe(run.adapter.hash);
  const tensors = readTensors(hub.blobs.path(run.adapter.hash));
  return { name: id, configuration: plan.adapter, tensors, run: id };
}

/** Every site builds its adapter from the plan alone, so the plan has to say what the start is. */
function checkShape(
  { plan, configuration: model }: StartRequest,
  { name, configuration }: FoundAdapter,
): void {
  const describe = (adapter: LoraConfiguration): string => {
    const parts = targetedLinears(model, adapter).map(({ module }) => module.split('.'));
    const names = new Set(parts.map((path) => path.at(-1)));
    const layers = new Set(parts.map((path) => path[2])); // of model.layers.0.self_attn.q_proj
    const scaling = adapter.rankStabilized === true ? ', scaled by alpha / √rank' : '';
    const where = layers.size < model.layers ? ` of the layers ${[...layers].join(', ')}` : '';
    return `rank ${adapter.rank}, alpha ${adapter.alpha}${scaling}, on ${[...names].join(', ')}${where}`;
  };
  const [wanted, found] = [describe(plan.adapter), describe(configuration)];
  if (wanted === found) return;
  throw new TributaryError(
    'plan.invalid',
    `The plan’s adapter has ${wanted}; the one it starts from (${name}) has ${found}.`,
  );
}
