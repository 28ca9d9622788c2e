/** @file Reads a plan's file, JSON or YAML, and finds the model it names. */

import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { TributaryError } from '../../core/errors.ts';
import { readPlan } from '../../core/federation/plan.ts';
import type { ModelIdentity, PlanRequest } from '../../core/federation/plan.ts';
import { CATALOGUE, findInCatalogue } from '../../core/model/catalogue.ts';
import type { ModelConfiguration } from '../../core/model/configuration.ts';
import { openModel } from '../../core/model/open.ts';

/** A plan with the model pinned by its hash, and the dimensions that an initial adapter needs. */
export interface PlanFile extends FoundModel {
  readonly plan: PlanRequest;
}

export interface FoundModel {
  readonly model: ModelIdentity;
  readonly configuration: ModelConfiguration;
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

/**
 * The model that a plan names or pins, with its dimensions. For models that the catalogue pins they come from the
 * catalogue, so that a hub needs no weights; others are opened by their name or at `path`.
 */
export async function findModel(reference: PlanRequest['model'], path?: string): Promise<FoundModel> {
  const pinned = typeof reference === 'string' ? undefined : reference.sha256;
  const name = typeof reference === 'string' ? reference : reference.id;
  const entry =
    pinned === undefined ? findInCatalogue(name) : CATALOGUE.find(({ sha256 }) => sha256 === pinned);
  if (entry !== undefined && entry.sha256 !== null) {
    return { model: { id: entry.id, sha256: entry.sha256 }, configuration: entry.configuration };
  }
  const model = await openModel(path ?? name);
  const { identity, configuration } = model;
  model.close();
  if (pinned !== undefined && pinned !== identity.sha256) {
    throw new TributaryError(
      'model.hash-mismatch',
      `The plan pins the model ${name} to ${pinned}, but the one here has ${identity.sha256}.`,
    );
  }
  return { model: { id: identity.id, sha256: identity.sha256 }, configuration };
}
