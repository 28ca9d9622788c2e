/** @file Training at this site alone: on a dataset of the vault or on the sample that comes with the program. */

import { readdirSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { toTributaryError, TributaryError } from '../errors.ts';
import { writeFileAtomically } from '../files.ts';
import { resourcesFolder } from '../resources.ts';
import { trainAlone } from '../training/alone.ts';
import type { AloneOutcome, AloneTraining } from '../training/alone.ts';
import { parseRow, readJsonl } from '../training/examples.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';
import type { StepReport } from '../training/requests.ts';
import type { SiteContext } from './context.ts';
import { passGate } from './policy.ts';

/** Where a site keeps what it has trained alone. */
export const ALONE_FOLDER = 'alone';
/** Beside the adapter's files: how it came about. */
export const ALONE_RECORD = 'training.json';

const SAMPLE = 'clinics';

const count = z.int().min(0);
export const aloneRecordShape = z.object({
  format: z.literal(1),
  /** How the model is opened on this machine: its id, or its path. */
  model: z.string(),
  /** Null for the sample. */
  dataset: z.string().nullable(),
  examples: count,
  rank: z.number(),
  /** Unix seconds. */
  created: z.number(),
  template: z.string(),
  baseLoss: z.number(),
  trainedLoss: z.number(),
  measured: count,
  heldOut: z.boolean(),
  course: z.array(z.object({ step: count, loss: z.number(), time: z.number() })),
});
export type AloneRecord = z.infer<typeof aloneRecordShape>;

export interface AloneRequest extends Pick<
  AloneTraining,
  'engine' | 'steps' | 'batchSize' | 'maxLength' | 'rank' | 'learningRate' | 'template'
> {
  /** Null takes the sample. */
  readonly dataset: string | null;
  readonly seed: number;
}

type AnyExample = Example | PreferenceExample;

/** Takes the next free name, `alone-3`, by making its folder. Throws `file.*`, `disk.full`. */
export async function takeAloneName(folder: string): Promise<string> {
  try {
    await mkdir(join(folder, ALONE_FOLDER), { recursive: true, mode: 0o700 });
    const taken = readdirSync(join(folder, ALONE_FOLDER)).map((name) =>
      Number(/^alone-(\d+)$/.exec(name)?.[1] ?? 0),
    );
    const name = `alone-${Math.max(0, ...taken) + 1}`;
    await mkdir(join(folder, ALONE_FOLDER, name), { mode: 0o700 });
    return name;
  } catch (thrown) {
    throw toTributaryError(thrown);
  }
}

/**
 * Trains and leaves the adapter in the folder of that name, which is gone again where the training does not end well.
 * @throws TributaryError of `trainAlone`, `vault.*`, `policy.*`, `data.wrong-kind`
 */
export async function trainAtSite(
  context: Pick<SiteContext, 'folder' | 'vault' | 'policies'>,
  { name, ...request }: AloneRequest & { readonly name: string },
  observer: { readonly signal: AbortSignal; readonly onStep: (step: StepReport) => void },
): Promise<AloneOutcome & { readonly adapter: string }> {
  const adapter = join(context.folder, ALONE_FOLDER, name);
  const course: AloneRecord['course'] = [];
  try {
    const rows = request.dataset === null ? await sampleRows() : datasetRows(context, request.dataset);
    const outcome = await trainAlone(
      { ...request, ...rows, out: adapter },
      {
        signal: observer.signal,
        report: (step) => {
          course.push({ step: step.step, loss: step.loss, time: Date.now() / 1000 });
          observer.onStep(step);
        },
      },
    );
    const { baseLoss, trainedLoss, measured, heldOut } = outcome;
    const record: AloneRecord = {
      ...{ format: 1, model: request.engine.model, dataset: request.dataset, examples: rows.examples.length },
      ...{ rank: request.rank, created: Date.now() / 1000, template: request.template },
      ...{ baseLoss, trainedLoss, measured, heldOut, course },
    };
    await writeFileAtomically(join(adapter, ALONE_RECORD), `${JSON.stringify(record)}\n`);
    return { ...outcome, adapter };
  } catch (thrown) {
    await rm(adapter, { recursive: true, force: true });
    throw thrown;
  }
}

type Rows = Pick<AloneTraining, 'objective' | 'examples' | 'heldOut'>;

/** The rows of the three invented clinics as if they were one. */
async function sampleRows(): Promise<Rows> {
  const folder = join(resourcesFolder(), 'samples', SAMPLE);
  const read = async (file: string): Promise<Example[]> => {
    const found: Example[] = [];
    for (const clinic of readdirSync(folder).sort())
      found.push(...(await readJsonl(join(folder, clinic, file), { objective: 'sft' })).examples);
    return found;
  };
  return { objective: 'sft', examples: await read('train.jsonl'), heldOut: await read('heldout.jsonl') };
}

/** Rows of the vault: what the import has set apart is measured on and never trained on. */
function datasetRows({ vault, policies }: Pick<SiteContext, 'vault' | 'policies'>, dataset: string): Rows {
  const examples: AnyExample[] = [];
  const heldOut: AnyExample[] = [];
  for (const { row, split } of vault.records(dataset)) {
    const example = exampleOf(row);
    if (example !== null) (split === 'train' ? examples : heldOut).push(example);
  }
  if (examples.length === 0) {
    throw new TributaryError('data.wrong-kind', `The dataset ${dataset} holds no row to train on.`);
  }
  passGate(policies(), { kind: 'dataset', dataset, examples: examples.length });
  const { kind } = examples[0];
  const alike = (each: AnyExample): boolean => each.kind === kind;
  const objective = kind === 'preference' ? 'dpo' : 'sft';
  return { objective, examples: examples.filter(alike), heldOut: heldOut.filter(alike) };
}

function exampleOf(row: Readonly<Record<string, unknown>>): AnyExample | null {
  try {
    return parseRow(row);
  } catch (error) {
    if (error instanceof TributaryError && error.code === 'data.broken-line') return null;
    throw error;
  }
}
