/** @file `tributary models`: the models this machine knows and holds. */

import { constants, existsSync } from 'node:fs';
import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { TributaryError } from '../../../core/errors.ts';
import { sha256OfFile } from '../../../core/fetching/digest.ts';
import { firstUses } from '../../../core/fetching/first-use.ts';
import {
  CATALOGUE,
  findInCatalogue,
  modelFolder,
  modelPlace,
  placeOfModel,
} from '../../../core/model/catalogue.ts';
import type { CatalogueEntry } from '../../../core/model/catalogue.ts';
import { openModel } from '../../../core/model/open.ts';
import { memoryTier, trainingMemory } from '../../../core/model/requirements.ts';
import { formatBytes } from '../../../core/sizes.ts';
import { runs } from '../command.ts';
import { fetchWithProgress } from '../fetching.ts';
import { formatTable } from '../format.ts';
import { addNetworkOptions, networkOfOptions, networkOptions } from '../network-options.ts';

export function register(program: Command): void {
  const models = program.command('models').description('list, fetch and check models');
  models
    .command('list')
    .description('the models of the catalogue, and which of them lie on this machine')
    .action(listModels);
  const fetch = models
    .command('fetch')
    .description('bring a model of the catalogue to this machine and check it')
    .argument('<model>', 'id in the catalogue');
  addNetworkOptions(fetch).action(fetchOne);
  models
    .command('add')
    .description('check a model that lies on this machine; keep it if it is one of the catalogue')
    .argument('<path>', 'GGUF file or Hugging Face folder')
    .action(addModel);
  models
    .command('verify')
    .description("compare a fetched model with the catalogue's hash, or with that of its first use")
    .argument('[model]', 'id in the catalogue; without it every fetched model')
    .action(verifyModels);
}

const listModels = runs(z.object({}), async (_, { output }) => {
  const trusted = await firstUses(modelPlace());
  const rows = CATALOGUE.map((entry) => {
    const { id, name, licence, languages, bytes, sha256, parameters, configuration } = entry;
    const path = placeOfModel(entry);
    const memory = {
      int4: trainingMemory(configuration, 'int4'),
      f32: trainingMemory(configuration, 'f32'),
    };
    const hash = { sha256: sha256 ?? trusted[id] ?? null, pinned: sha256 !== null };
    return {
      id,
      name,
      licence,
      languages,
      bytes,
      ...hash,
      parameters,
      memory,
      path,
      fetched: existsSync(path),
    };
  });
  const tier = (bytes: number): string => `${memoryTier(bytes)} GB`;
  const table = formatTable(
    ['id', 'size', 'computer for int4', 'for f32', 'languages', 'licence', 'hash', 'here'],
    rows.map(({ id, bytes, memory, languages, licence, pinned, sha256, fetched }) => [
      id,
      `${pinned ? '' : 'about '}${formatBytes(bytes)}`,
      tier(memory.int4),
      tier(memory.f32),
      languages.length > 4
        ? `${languages.slice(0, 3).join(' ')} +${languages.length - 3}`
        : languages.join(' '),
      licence,
      pinned ? 'pinned' : sha256 === null ? 'unpinned' : 'first use',
      fetched ? 'yes' : 'no',
    ]),
  );
  for (const line of table) output.line(line);
  output.line('Memory is computed for one text of 512 tokens at a time, with 2 GB left to other programs.');
  output.line(
    'Also tiny, a small random model for trials, and any GGUF file or Hugging Face folder by its path.',
  );
  output.result({ models: rows, folder: modelFolder() });
});

const fetchOne = runs(
  z.object({ model: z.string() }).extend(networkOptions.shape),
  async ({ model, ...network }, context) => {
    const { output } = context;
    if (model === 'tiny') {
      output.line('The model tiny is made on the spot; there is nothing to fetch.');
      output.result({ model, path: null });
      return;
    }
    const entry = inCatalogue(model);
    const path = await fetchWithProgress(entry, context, networkOfOptions(network));
    output.line(path);
    const { size: bytes } = await stat(path);
    const sha256 = entry.sha256 ?? (await firstUses(modelPlace()))[entry.id];
    output.result({ model: entry.id, path, bytes, sha256, pinned: entry.sha256 !== null });
  },
);

const addModel = runs(z.object({ path: z.string() }), async ({ path }, { output }) => {
  const opened = await openModel(path);
  const { identity } = opened;
  opened.close();
  const entry = CATALOGUE.find(({ sha256 }) => sha256 === identity.sha256);
  const place = entry === undefined ? path : await keep(path, entry);
  output.line(
    entry === undefined
      ? `${path} is complete and can be used in place: --model ${path}`
      : `This is ${entry.id} of the catalogue, kept at ${place}: --model ${entry.id}`,
  );
  output.result({ model: entry?.id ?? path, path: place, ...identity });
});

const verifyModels = runs(
  z.object({ model: z.string().optional() }),
  async ({ model }, { output, progress }) => {
    const wanted = model === undefined ? CATALOGUE : [inCatalogue(model)];
    const present = wanted.filter((entry) => existsSync(placeOfModel(entry)));
    if (model !== undefined && present.length === 0) {
      throw new TributaryError(
        'model.not-found',
        `${model} is not on this machine (${placeOfModel(wanted[0])}).`,
      );
    }
    const trusted = await firstUses(modelPlace());
    const results = [];
    for (const entry of present) {
      const path = placeOfModel(entry);
      const { size } = await stat(path);
      const display = progress(`Checking ${entry.id}`);
      const sha256 = await sha256OfFile(path, (bytes) => display.update(bytes, size));
      const expected = entry.sha256 ?? trusted[entry.id] ?? null;
      const verified = expected === null ? null : sha256 === expected;
      const verdict =
        verified === null ? 'not pinned and not used yet' : verified ? 'intact' : 'another file';
      display.finish(`${entry.id}: ${verdict} (sha256 ${sha256}).`);
      results.push({ id: entry.id, path, sha256, verified });
    }
    if (results.length === 0) output.line('No model of the catalogue lies on this machine.');
    const broken = results.find(({ verified }) => verified === false);
    if (broken !== undefined) {
      throw new TributaryError('model.hash-mismatch', `${broken.path} has another hash than it should have.`);
    }
    output.result({ models: results });
  },
);

function inCatalogue(id: string): CatalogueEntry {
  const entry = findInCatalogue(id);
  if (entry !== undefined) return entry;
  const known = CATALOGUE.map((candidate) => candidate.id).join(', ');
  throw new TributaryError('model.not-found', `The catalogue has no model ${id}, only ${known}.`);
}

/** Copies a file of the catalogue to its place, or shares its blocks where the disk can. */
async function keep(path: string, entry: CatalogueEntry): Promise<string> {
  const place = placeOfModel(entry);
  if (existsSync(place)) return place;
  await mkdir(modelFolder(), { recursive: true });
  const partial = join(modelFolder(), `.${basename(place)}.${process.pid}.part`);
  try {
    await copyFile(path, partial, constants.COPYFILE_FICLONE);
    await rename(partial, place);
  } finally {
    await rm(partial, { force: true });
  }
  return place;
}
