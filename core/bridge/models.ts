/** @file Answers about models: which there are, bringing one here, looking at one that lies elsewhere. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TributaryError } from '../errors.ts';
import { CATALOGUE, findInCatalogue, modelFolder } from '../model/catalogue.ts';
import type { CatalogueEntry } from '../model/catalogue.ts';
import { fetchModel } from '../model/fetch.ts';
import { openModel } from '../model/open.ts';
import type { Handlers } from './dispatch.ts';
import type { Tasks } from './tasks.ts';

/** The model that comes with the program. */
export const BUNDLED_MODEL = 'smollm2-135m-instruct';

/** Where a model of the catalogue lies, or will. */
export function placeOfModel({ file }: Pick<CatalogueEntry, 'file'>): string {
  return join(modelFolder(), file);
}

/** Whether the bundled model is here. */
export function bundledModel(): { id: string; present: boolean; bytes: number } {
  const { id, bytes, file } = inCatalogue(BUNDLED_MODEL);
  return { id, present: existsSync(placeOfModel({ file })), bytes };
}

export function modelHandlers({ tasks }: { readonly tasks: Tasks }): Handlers {
  return {
    'models.list': () => ({
      models: CATALOGUE.map(({ id, name, licence, languages, bytes, parameters, sha256, file }) => {
        const path = placeOfModel({ file });
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
            signal,
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
