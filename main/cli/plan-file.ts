/** @file Reads a plan's file, JSON or YAML, and finds the model it names. */

import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { TributaryError } from '../../core/errors.ts';
import { readPlan } from '../../core/federation/plan.ts';
import type { PlanRequest } from '../../core/federation/plan.ts';
import { findModel } from '../../core/federation/plan-model.ts';
import type { FoundModel } from '../../core/federation/plan-model.ts';

/** A plan with the model pinned by its hash, and the dimensions that an initial adapter needs. */
export interface PlanFile extends FoundModel {
  readonly plan: PlanRequest;
}

export interface PlanFileOptions {
  /** Catalogue id or path of a model that takes the place of the plan's. */
  readonly model?: string;
}

/**
 * Reads a plan from a file, JSON or YAML, or one of `resources/plans` as `preset:NAME`.
 *
 * @throws TributaryError `plan.invalid`, `plan.unsupported`, `file.not-found`, `usage.invalid` for an unknown preset,
 * and what opening the model throws
 */
export async function readPlanFile(path: string, options: PlanFileOptions = {}): Promise<PlanFile> {
  const file = path.startsWith(PRESET) ? await presetFile(path.slice(PRESET.length)) : path;
  const text = await readFile(file, 'utf8');
  const written = readPlan(/\.ya?ml$/i.test(file) ? yamlToJson(text) : text);
  const plan = options.model === undefined ? written : { ...written, model: options.model };
  return { plan, ...(await findModel(plan.model)) };
}

const PRESET = 'preset:';

/** Plans that come with the program, by name. */
export async function presets(): Promise<string[]> {
  const names = await readdir(presetFolder());
  return names.flatMap((name) => (name.endsWith('.yaml') ? [name.slice(0, -'.yaml'.length)] : [])).sort();
}

async function presetFile(name: string): Promise<string> {
  const known = await presets();
  if (known.includes(name)) return join(presetFolder(), `${name}.yaml`);
  throw new TributaryError('usage.invalid', `There is no preset “${name}”; there are ${known.join(', ')}.`);
}

/** Beside the built programs, or beside the sources when they run under test. */
function presetFolder(): string {
  const here = import.meta.dirname;
  const candidates = [join(here, '..'), join(here, '..', '..')].map((root) =>
    join(root, 'resources', 'plans'),
  );
  return candidates.find((folder) => existsSync(folder)) ?? candidates[0];
}

function yamlToJson(text: string): string {
  try {
    return JSON.stringify(parseYaml(text)) ?? 'null';
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new TributaryError('plan.invalid', `The plan is not YAML: ${reason}`, { cause });
  }
}
