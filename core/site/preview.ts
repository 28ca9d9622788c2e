/** @file Examples of a dataset or of a file as a model would be trained on them, and whether anything would be. */

import { TributaryError } from '../errors.ts';
import { openPlan } from '../federation/plan.ts';
import { openModel } from '../model/open.ts';
import type { OpenModel } from '../model/open.ts';
import { parseRow } from '../training/examples.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';
import { modelTemplate } from '../training/model-text.ts';
import type { ModelText } from '../training/model-text.ts';
import { isTrained, showExample } from '../training/shown-example.ts';
import type { ShownExample } from '../training/shown-example.ts';
import type { TemplateName } from '../training/templates.ts';
import { allTruncated } from '../training/tokens.ts';
import type { MappedRecord } from '../vault/mapping.ts';
import type { SiteContext } from './context.ts';
import { readExamples } from './examples.ts';
import type { SiteRun } from './tables.ts';

export type { Segment, ShownExample, ShownText } from '../training/shown-example.ts';

/** The model that comes with the program. */
export const BUNDLED_MODEL = 'smollm2-135m-instruct';

const SHOWN_EXAMPLES = 3;
/** Rows that are looked at for something to train on before it is said that there is nothing. */
const JUDGED_ROWS = 2000;

export interface PreviewText extends ModelText {
  /** Id of the model whose template and tokenizer these are. */
  readonly model: string;
}

export interface Preview {
  readonly model: string;
  /** Three at most. */
  readonly examples: readonly ShownExample[];
  /** Of the examples. */
  readonly trainedTokens: number;
  /** Why nothing would be trained, as a sentence; null where something is. */
  readonly reason: string | null;
}

export interface PreviewOptions {
  /** Catalogue id or path; the bundled model without it, or `tiny` where that is not on this machine. */
  readonly model?: string;
  readonly template?: TemplateName;
  /** Longest example in tokens; without it nothing is cut. */
  readonly maxLength?: number;
}

let last: { readonly reference: string; readonly model: Promise<OpenModel> } | null = null;

/** Opened once for a while: a person tries one mapping after the other. Its weights are closed and never read. */
async function textOf(reference: string): Promise<OpenModel> {
  if (last?.reference !== reference) {
    const model = openModel(reference).then((opened) => {
      opened.close();
      return opened;
    });
    last = { reference, model };
    model.catch(() => (last = null));
  }
  return last.model;
}

/** Template and tokenizer for a preview. Throws as `openModel` does for a model that is named. */
export async function openPreviewText({
  model: reference,
  template = 'chat',
  maxLength = Infinity,
}: PreviewOptions = {}): Promise<PreviewText> {
  const model = await textOf(reference ?? BUNDLED_MODEL).catch((error: unknown) => {
    const isAbsent = error instanceof TributaryError && error.code === 'model.not-found';
    if (reference === undefined && isAbsent) return textOf('tiny');
    throw error;
  });
  const { tokenizer, identity } = model;
  return { model: identity.id, tokenizer, template: modelTemplate(model, template), maxLength };
}

/** The first three examples of some rows, and whether any of the first `judged` rows gives something to train on. */
export async function previewRows(
  rows: AsyncIterable<MappedRecord> | Iterable<MappedRecord>,
  text: PreviewText,
  judged = JUDGED_ROWS,
): Promise<Preview> {
  const examples: ShownExample[] = [];
  let looked = 0;
  let problem: string | null = null;
  let trained = false;
  for await (const mapped of rows) {
    if (looked === judged || (trained && examples.length === SHOWN_EXAMPLES)) break;
    looked++;
    const example = 'row' in mapped ? exampleOf(mapped.row) : mapped;
    if ('problem' in example) {
      problem ??= example.problem;
      continue;
    }
    if (examples.length < SHOWN_EXAMPLES) examples.push(showExample(example, text));
    trained ||= isTrained(example, text);
  }
  const trainedTokens = examples.reduce(
    (sum, shown) => sum + shown.trainedTokens + (shown.rejected?.trainedTokens ?? 0),
    0,
  );
  return {
    ...{ model: text.model, examples, trainedTokens },
    reason: trained ? null : reasonOf({ looked, usable: examples.length > 0, problem, text }),
  };
}

function exampleOf(
  row: Readonly<Record<string, unknown>>,
): Example | PreferenceExample | { readonly problem: string } {
  try {
    return parseRow(row);
  } catch (error) {
    if (!(error instanceof TributaryError) || error.code !== 'data.broken-line') throw error;
    return { problem: `does not fit: ${error.message.replace(/\.$/, '')}` };
  }
}

function reasonOf(found: {
  looked: number;
  usable: boolean;
  problem: string | null;
  text: PreviewText;
}): string {
  const { looked, usable, problem, text } = found;
  if (looked === 0) return 'There are no rows.';
  if (!usable)
    return `None of the first ${looked} rows is an example; the first one ${problem ?? 'is empty'}.`;
  const length = `the first ${text.maxLength} tokens of ${text.model}`;
  return `In none of the first ${looked} rows anything of an answer lies within ${length}: all would be cut away.`;
}

/**
 * Refuses a dataset of which the run's plan would train nothing. A model that is not on this machine cannot be asked;
 * then the training says it.
 * @throws TributaryError `data.all-truncated`, and as `readExamples` does
 */
export async function requireTrained(
  { vault }: Pick<SiteContext, 'vault'>,
  run: SiteRun,
  dataset: string,
): Promise<void> {
  const plan = openPlan(run.plan, run.plan_hash);
  const { model, training } = plan;
  const { template, maxLength } = training;
  const { examples } = readExamples(vault, dataset, plan);
  const text = await openPreviewText({ model: model.id, template, maxLength }).catch((error: unknown) => {
    if (error instanceof TributaryError && error.code === 'model.not-found') return null;
    throw error;
  });
  if (text === null || examples.some((example) => isTrained(example, text))) return;
  throw allTruncated(examples.length, maxLength);
}
