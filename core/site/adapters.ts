/** @file The adapters that lie in a site's folder, each with how it came about as far as the site knows. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { toTributaryError, TributaryError } from '../errors.ts';
import { openPlan } from '../federation/plan.ts';
import { readAdapterBase } from '../model/adapter.ts';
import { findInCatalogue } from '../model/catalogue.ts';
import { TEMPLATE_NAMES } from '../training/templates.ts';
import type { TemplateName } from '../training/templates.ts';
import { ALONE_FOLDER, ALONE_RECORD, aloneRecordShape } from './alone.ts';
import type { AloneRecord } from './alone.ts';
import type { SiteContext } from './context.ts';
import { runOfOwnCopy } from './own-copy.ts';
import { runOfName } from './run-names.ts';

const RUNS_FOLDER = 'adapters';

export interface SiteAdapter {
  /** What the run is called at this site, or the name of the training alone. */
  readonly run: string;
  /** What the federation is called here; null for trainings alone and where the site has left it. */
  readonly federation: string | null;
  readonly name: string;
  /** `local`: trained on this site's rows alone, also within a run of the strategy `local`, or last of all on them. */
  readonly kind: 'federated' | 'local';
  /** PEFT folder. */
  readonly folder: string;
  readonly model: { readonly id: string; readonly sha256: string };
  /** How the model is opened here: id or path; null where it is in no catalogue and no path is known. */
  readonly reference: string | null;
  readonly template: TemplateName;
  /** Unix seconds. */
  readonly created: number;
  readonly bytes: number;
  readonly rank: number;
  readonly rounds: number | null;
  readonly steps: number | null;
  readonly dataset: string | null;
  readonly examples: number | null;
  /** The last that this site knows of its own rows. */
  readonly loss: number | null;
  /** Of the model without it, on the same rows as `loss`; of trainings alone. */
  readonly baseLoss: number | null;
  /** Of trainings alone. */
  readonly course: AloneRecord['course'];
}

type Place = Pick<SiteContext, 'folder' | 'federations'>;

/** Newest first. A folder that holds no adapter of this program is passed over. */
export function siteAdapters(site: Place): SiteAdapter[] {
  const federated = foldersIn(join(site.folder, RUNS_FOLDER)).map((run) => federatedAdapter(site, run));
  const alone = foldersIn(join(site.folder, ALONE_FOLDER)).map((run) => aloneAdapter(site, run));
  return [...federated, ...alone]
    .filter((found) => found !== null)
    .sort((one, other) => other.created - one.created);
}

/** @throws TributaryError `results.unknown` */
export function siteAdapter(site: Place, run: string): SiteAdapter {
  const found = siteAdapters(site).find((each) => each.run === run);
  if (found !== undefined) return found;
  throw new TributaryError('results.unknown', `There is no adapter of ${run} at this site.`);
}

/** Removes its folder. @throws TributaryError `results.unknown`, `file.*` */
export async function deleteSiteAdapter(site: Place, run: string): Promise<void> {
  try {
    await rm(siteAdapter(site, run).folder, { recursive: true });
  } catch (thrown) {
    throw toTributaryError(thrown);
  }
}

function foldersIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
}

const peftShape = z.object({ r: z.number() });

/** What its files say; null where the folder holds no adapter or not yet a whole one. */
function described(
  folder: string,
): Pick<SiteAdapter, 'folder' | 'model' | 'created' | 'bytes' | 'rank'> | null {
  const base = readAdapterBase(folder);
  const settings = join(folder, 'adapter_config.json');
  if (base === null || !existsSync(settings)) return null;
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  const created = statSync(settings).mtimeMs / 1000;
  const { r: rank } = peftShape.parse(JSON.parse(readFileSync(settings, 'utf8')));
  const { id, sha256 } = base.identity;
  return { folder, model: { id, sha256 }, created, bytes, rank };
}

function federatedAdapter({ folder: site, federations }: Place, name: string): SiteAdapter | null {
  const files = described(join(site, RUNS_FOLDER, name));
  if (files === null) return null;
  const { federation: number, run: id } = runOfName(name);
  // A site that has left its federation keeps the adapters and forgets the runs.
  const federation = federations.get(number);
  const copied = runOfOwnCopy(id);
  const run = federation?.store.run(copied ?? id) ?? null;
  const plan = run === null ? null : openPlan(run.plan, run.plan_hash);
  const rounds = plan?.federation.rounds ?? null;
  const committed = (federation?.store.rounds(id) ?? []).filter(({ phase }) => phase === 'committed');
  return {
    ...files,
    ...{
      run: name,
      federation: federation?.name ?? null,
      name: nameOf(plan?.name ?? copied ?? id, copied),
      rounds,
      steps: plan?.training.steps ?? null,
    },
    kind: copied !== null || plan?.federation.strategy.name === 'local' ? 'local' : 'federated',
    reference: isKnown(files.model.id) ? files.model.id : null,
    template: plan?.training.template ?? 'chat',
    dataset: run?.dataset ?? null,
    examples: committed.at(-1)?.examples ?? null,
    loss: copied === null ? (committed.at(-1)?.loss ?? null) : null,
    ...{ baseLoss: null, course: [] },
  };
}

function aloneAdapter({ folder: site }: Place, name: string): SiteAdapter | null {
  const folder = join(site, ALONE_FOLDER, name);
  const path = join(folder, ALONE_RECORD);
  const files = existsSync(path) ? described(folder) : null;
  if (files === null) return null;
  const record = aloneRecordShape.parse(JSON.parse(readFileSync(path, 'utf8')));
  const { model: reference, created, dataset, examples, baseLoss, trainedLoss, course } = record;
  return {
    ...files,
    ...{ run: name, federation: null, name, kind: 'local', reference, created, dataset, examples },
    template: TEMPLATE_NAMES.find((known) => known === record.template) ?? 'chat',
    ...{ rounds: null, steps: course.length, loss: trainedLoss, baseLoss, course },
  };
}

/** The own copy is told from what it was copied from. */
function nameOf(name: string, copied: string | null): string {
  return copied === null ? name : `${name} (own copy)`;
}

function isKnown(id: string): boolean {
  return id === 'tiny' || findInCatalogue(id) !== undefined;
}
