/** @file `tributary models`: the models this machine knows and holds. */

import { constants, existsSync } from 'node:fs';
import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { TributaryError } from '../../../core/errors.ts';
import { CATALOGUE, findInCatalogue, modelFolder } from '../../../core/model/catalogue.ts';
import type { CatalogueEntry } from '../../../core/model/catalogue.ts';
import { sha256OfFile } from '../../../core/model/digest.ts';
import { openModel } from '../../../core/model/open.ts';
import { runs } from '../command.ts';
import { fetchWithProgress } from '../fetching.ts';
import { formatBytes, formatTable } from '../format.ts';

export function register(program: Command): void {
  const models = program.command('models').description('list, fetch and check models');
  models
    .command('list')
    .description('the models of the catalogue, and which of them lie on this machine')
    .action(listModels);
  models
    .command('fetch')
    .description('bring a model of the catalogue to this machine and check it')
    .argument('<model>', 'id in the catalogue')
    .action(fetchOne);
  models
    .command('add')
    .description('check a model that lies on this machine; keep it if it is one of the catalogue')
    .argument('<path>', 'GGUF file or Hugging Face folder')
    .action(addModel);
  models
    .command('verify')
    .description("compare a fetched model with the catalogue's hash")
    .argument('[model]', 'id in the catalogue; without it every fetched model')
    .action(verifyModels);
}

const listModels = runs(z.object({}), (_, { output }) => {
  const rows = CATALOGUE.map((entry) => {
    const path = placeOf(entry);
    const { id, name, licence, bytes, sha256, parameters } = entry;
    return { id, name, licence, bytes, sha256, parameters, path, fetched: existsSync(path) };
  });
  const table = formatTable(
    ['id', 'name', 'size', 'licence', 'here'],
    rows.map(({ id, name, bytes, licence, fetched }) => [
      id,
      name,
      formatBytes(bytes),
      licence,
      fetched ? 'yes' : 'no',
    ]),
  );
  for (const line of table) output.line(line);
  output.line(
    'Also tiny, a small random model for trials, and any GGUF file or Hugging Face folder by its path.',
  );
  output.result({ models: rows, folder: modelFolder() });
});

const fetchOne = runs(
  z.object({ model: z.string() }),
  async ({ model }, { output, interruption, progress }) => {
    if (model === 'tiny') {
      output.line('The model tiny is made on the spot; there is nothing to fetch.');
      output.result({ model, path: null });
      return;
    }
    const entry = inCatalogue(model);
    const path = await fetchWithProgress(entry, { output, interruption, progress });
    output.line(path);
    output.result({ model: entry.id, path, bytes: entry.bytes, sha256: entry.sha256 });
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
    const present = wanted.filter((entry) => existsSync(placeOf(entry)));
    if (model !== undefined && present.length === 0) {
      throw new TributaryError('model.not-found', `${model} is not on this machine (${placeOf(wanted[0])}).`);
    }
    const results = [];
    for (const entry of present) {
      const path = placeOf(entry);
      const { size } = await stat(path);
      const display = progress(`Checking ${entry.id}`);
      const sha256 = await sha256OfFile(path, (bytes) => display.update(bytes, size));
      const verified = sha256 === entry.sha256;
      display.finish(`${entry.id}: ${verified ? 'intact' : 'not the file of the catalogue'}.`);
      results.push({ id: entry.id, path, sha256, verified });
    }
    if (results.length === 0) output.line('No model of the catalogue lies on this machine.');
    const broken = results.find(({ verified }) => !verified);
    if (broken !== undefined) {
      throw new TributaryError(
        'model.hash-mismatch',
        `${broken.path} has another hash than the catalogue says.`,
      );
    }
    output.result({ models: results });
  },
);

function placeOf(entry: CatalogueEntry): string {
  return join(modelFolder(), entry.file);
}

function inCatalogue(id: string): CatalogueEntry {
  const entry = findInCatalogue(id);
  if (entry !== undefined) return entry;
  const known = CATALOGUE.map((candidate) => candidate.id).join(', ');
  throw new TributaryError('model.not-found', `The catalogue has no model ${id}, only ${known}.`);
}

/** Copies a file of the catalogue to its place, or shares its blocks where the disk can. */
async function keep(path: string, entry: CatalogueEntry): Promise<string> {
  const place = placeOf(entry);
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
