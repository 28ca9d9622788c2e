/** @file Answers about models: which there are, bringing one here, looking at one that lies elsewhere. */

import { existsSync } from 'node:fs';
import { TributaryError } from '../errors.ts';
import { CATALOGUE, findInCatalogue, placeOfModel } from '../model/catalogue.ts';
import type { CatalogueEntry } from '../model/catalogue.ts';
import { fetchModel } from '../model/fetch.ts';
import { openModel } from '../model/open.ts';
import type { Network } from '../network/network.ts';
import type { Handlers } from './dispatch.ts';
import type { Tasks } from './tasks.ts';

/** The model that comes with the program. */
export const BUNDLED_MODEL = 'smollm2-135m-instruct';

/** Whether the bundled model is here. */
export function bundledModel(): { id: string; present: boolean; bytes: number } {
  const entry = inCatalogue(BUNDLED_MODEL);
  return { id: entry.id, present: existsSync(placeOfModel(entry)), bytes: entry.bytes };
}

export function modelHandlers({
  tasks,
  network,
}: {
  readonly tasks: Tasks;
  readonly network: Network;
}): Handlers {
  return {
    'models.list': () => ({
      models: CATALOGUE.map(({ id, name, licence, languages, bytes, parameters, sha256, file }) => {
        const path = placeOfModel({ file, sha256 });
        const present = existsSync(path);
        return {
          id,
          name,
          licence,
          languages,
          bytes,
          parameters,
          sha256,
          present,
          path: present ? path : null,
        };
      }),
    }),
    'models.fetch': ({ model }) => {
      const entry = inCatalogue(model);
      const task = tasks.start(
        { kind: 'model', subject: model, unit: 'bytes' },
        async ({ signal, progress }) => {
          const path = await fetchModel(entry, {
            ...{ signal, network },
            onProgress: ({ fraction, totalBytes }) =>
              progress({ done: Math.floor((fraction ?? 0) * totalBytes), total: totalBytes }),
          });
          return { path };
        },
      );
      return { task };
    },
    'models.inspect': async ({ path }) => {
      const model = await openModel(path);
      const { identity } = model;
      model.close();
      return { path, id: identity.id, sha256: identity.sha256, parameters: identity.parameters };
    },
  };
}

function inCatalogue(id: string): CatalogueEntry {
  const entry = findInCatalogue(id);
  if (entry === undefined) throw new TributaryError('model.not-found', `The catalogue has no model ${id}.`);
  return entry;
}
