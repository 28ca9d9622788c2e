/**
 * @file Updates that come after their round, where the plan takes them into the next one: which round they count in,
 * and what they are there. What the site has changed is added to the model of that round, at a discount.
 */

import { openTensors } from '../federation/codec.ts';
import type { BlobStore } from '../federation/blobs.ts';
import type { Plan } from '../federation/plan.ts';
import { openUpdate, updateForm } from '../federation/update.ts';
import type { OpenUpdate } from '../federation/update.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { HubContext } from './context.ts';
import { planOf } from './proposals.ts';
import type { Contribution, RoundRecord, RunRecord } from './records.ts';

/**
 * Where an update counts whose round collects no more: in the round under way, or `held` until that opens; null where
 * it is too late, or where the site has an update in that round already.
 */
export function placeOfLate(
  { runs }: Pick<HubContext, 'runs'>,
  { run, number, site }: { readonly run: RunRecord; readonly number: number; readonly site: string },
): RoundRecord | 'held' | null {
  const plan = planOf(run);
  const current = runs.currentRound(run.id);
  if (plan.federation.late === undefined || run.state !== 'running' || current === null) return null;
  const isIn = (round: number): boolean => runs.contribution(run.id, round, site)?.state === 'committed';
  if (isIn(number)) return null;
  if (current.number === number) return number + 1 < plan.federation.rounds ? 'held' : null;
  if (current.number !== number + 1 || current.phase !== 'collecting' || isIn(current.number)) return null;
  return current;
}

/** The weight that a contribution's examples have in its round. */
export function weightOf({ examples, late }: Contribution, { federation }: Plan): number {
  return (examples ?? 0) * (late === null ? 1 : (federation.late?.discount ?? 1));
}

/** Opens a contribution's update as values of its round, whenever it was trained. Throws as `openUpdate` does. */
export async function openContribution(
  blobs: BlobStore,
  { hash, late }: Contribution,
  { base, plan, round }: { readonly base: NamedTensors; readonly plan: Plan; readonly round: number },
): Promise<OpenUpdate> {
  await blobs.require(hash);
  if (late === null) return openUpdate(blobs.path(hash), base, updateForm(plan, round));
  await blobs.require(late.base);
  const earlier = openTensors(blobs.path(late.base));
  try {
    const update = openUpdate(blobs.path(hash), earlier.tensors, updateForm(plan, late.round));
    const moved = (tensors: OpenUpdate['parts'][string]): OpenUpdate['parts'][string] => ({
      get: (name) => {
        const values = tensors.get(name);
        if (values !== undefined && 'difference' in values) return values; // the change itself
        const [from, to] = [earlier.tensors.get(name)?.data, base.get(name)?.data];
        if (values === undefined || from === undefined || to === undefined) return undefined;
        return { data: Float64Array.from(values.data, (value, at) => to[at] + (value - from[at])) };
      },
    });
    return {
      parts: Object.fromEntries(
        Object.entries(update.parts).map(([part, tensors]) => [part, moved(tensors)]),
      ),
      close: () => {
        update.close();
        earlier.close();
      },
    };
  } catch (error) {
    earlier.close();
    throw error;
  }
}
