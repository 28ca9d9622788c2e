/** @file Reads a plan's file, JSON or YAML, and finds the model it names. */

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { TributaryError } from '../../core/errors.ts';
import { readPlan } from '../../core/federation/plan.ts';
import type { PlanRequest } from '../../core/federation/plan.ts';
import { findModel } from '../../core/federation/plan-model.ts';
import type { FoundModel } from '../../core/federation/plan-model.ts';
import { readPreset } from '../../core/federation/presets.ts';

/** A plan with the model pinned by its hash, and the dimensions that an initial adapter needs. */
export interface PlanFile extends FoundModel {
  readonly plan: PlanRequest;
}

export interface PlanFileOptions {
  /** Catalogue id or path of a model that takes the place of the plan's. */
  readonly model?: string;
}

const PRESET = 'preset:';

/**
 * Reads a plan from a file, JSON or YAML, or one of `resources/plans` as `preset:NAME`.
 *
 * @throws TributaryError `plan.invalid`, `plan.unsupported`, `file.not-found`, `usage.invalid` for an unknown preset,
 * and what opening the model throws
 */
export async function readPlanFile(path: string, options: PlanFileOptions = {}): Promise<PlanFile> {
  const written = readPlan(
    path.startsWith(PRESET)
      ? JSON.stringify((await readPreset(path.slice(PRESET.length))).plan)
      : await readJson(path),
  );
  const named = options.model === undefined ? written : { ...written, model: options.model };
  const plan = withStartFrom(dirname(path), named);
  return { plan, ...(await findModel(plan.model)) };
}

/** A folder in a plan is meant from the place of the plan's file. */
function withStartFrom(place: string, plan: PlanRequest): PlanRequest {
  const { adapter } = plan;
  const { start } = adapter;
  if (start?.folder === undefined) return plan;
  return { ...plan, adapter: { ...adapter, start: { folder: resolve(place, start.folder) } } };
}

async function readJson(path: string): Promise<string> {
  const text = await readFile(path, 'utf8');
  return /\.ya?ml$/i.test(path) ? yamlToJson(text) : text;
}

function yamlToJson(text: string): string {
  try {
    return JSON.stringify(parseYaml(text)) ?? 'null';
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new TributaryError('plan.invalid', `The plan is not YAML: ${reason}`, { cause });
  }
}
