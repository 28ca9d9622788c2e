/** @file The model of a plan on this machine. */

import { TributaryError } from '../errors.ts';
import { CATALOGUE, findInCatalogue } from '../model/catalogue.ts';
import type { ModelConfiguration } from '../model/configuration.ts';
import { openModel } from '../model/open.ts';
import type { ModelIdentity, PlanRequest } from './plan.ts';

export interface FoundModel {
  readonly model: ModelIdentity;
  readonly configuration: ModelConfiguration;
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
