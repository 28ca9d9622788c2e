/** @file Log-probabilities under the frozen reference of a preference training: each pair's are computed once. */

import { createHash } from 'node:crypto';
import { join } from 'node:path';

import type { Engine } from '../engine/engine.ts';
import { logProbabilities } from '../engine/preference.ts';
import { dataFolder } from '../folders.ts';
import type { OpenModel } from '../model/open.ts';
import { packBatch } from './packing.ts';
import type { PreferenceTokens } from './preference-tokens.ts';
import { readScores, writeScores, type AnswerScores, type ScoresByPair } from './reference-cache.ts';
import { engineAdapter, type TrainedAdapter } from './trained-adapter.ts';

/** What the reference makes of pairs. */
export interface Reference {
  /** The base model alone where it is null. */
  readonly adapter: TrainedAdapter | null;
  score(pair: PreferenceTokens): Promise<AnswerScores>;
  /**
   * Writes what was computed into the cache on disk, for other processes and later times. A cache that cannot be
   * written only costs the time to compute again.
   */
  save(): Promise<void>;
}

/**
 * Scores pairs when they are first asked for and remembers them, so that no pair is computed twice and none that is
 * never drawn. Each pair is computed by itself: its value does not depend on what else is in a batch or in the cache,
 * and a repeated training gives the same bytes with a warm cache and without one.
 *
 * The cache on disk is one file per model, reference adapter, precision, device and number of threads; a pair's key
 * is the hash of its tokens, which the text, the template and the cuts decide.
 */
export function createReference({
  model,
  engine,
  adapter,
}: {
  model: OpenModel;
  engine: Engine;
  adapter: TrainedAdapter | null;
}): Reference {
  const { precision, device, threads } = engine;
  const { sha256 } = model.identity;
  const key = JSON.stringify([sha256, precision, device, threads, adapter && digestOf(adapter)]);
  const name = createHash('sha256').update(key).digest('hex').slice(0, 32);
  const path = join(dataFolder(), 'cache', sha256, `${name}.scores`);
  let known: Promise<ScoresByPair> | null = null;
  let unsaved = false;

  async function compute({ chosen, rejected }: PreferenceTokens): Promise<AnswerScores> {
    const batch = packBatch([chosen, rejected], { filler: model.tokenizer.padding });
    const { tokenLosses } = await engine.loss(batch, engineAdapter(adapter));
    const [first, second] = logProbabilities(batch, tokenLosses);
    return { chosen: first, rejected: second };
  }

  return {
    adapter,
    async score(pair) {
      const scores = await (known ??= readScores(path, key));
      const hash = hashOf(pair);
      const found = scores.get(hash);
      if (found) return found;
      const computed = await compute(pair);
      scores.set(hash, computed);
      unsaved = true;
      return computed;
    },
    async save() {
      if (!known || !unsaved) return;
      const scores = await known;
      // Another process may have written since.
      const merged = new Map([...(await readScores(path, key)), ...scores]);
      unsaved = await writeScores(path, key, merged).then(
        () => false,
        () => true,
      );
    },
  };
}

function hashOf({ chosen, rejected }: PreferenceTokens): string {
  const hash = createHash('sha256');
  for (const { ids, supervisedTokens } of [chosen, rejected]) {
    hash.update(Int32Array.of(ids.length, supervisedTokens)).update(ids);
  }
  return hash.digest('hex');
}

function digestOf({ configuration, parameters }: TrainedAdapter): string {
  const hash = createHash('sha256').update(JSON.stringify([configuration, [...parameters.tensors.keys()]]));
  return hash.update(parameters.flat).digest('hex');
}
