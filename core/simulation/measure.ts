/** @file What a model makes of each held-out row, so that models can be compared row by row. */

import type { Plan } from '../federation/plan.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { TrainerProcess } from '../training/client.ts';
import { examplesFor } from '../training/examples.ts';
import type { Example, PreferenceExample } from '../training/examples.ts';
import type { Observer } from '../training/observer.ts';
import { measurePair, pairLoss, PREFERENCE_DEFAULTS } from '../training/preference.ts';

/** A model's measures of one held-out row. Sums, so that those of several rows can be added. */
export interface Outcome {
  /** Of the objective: summed over the answer's tokens for conversations, of the pair for pairs. */
  readonly loss: number;
  /** What the loss is divided by: the answer's tokens, or one pair. */
  readonly weight: number;
  /** Negative log-likelihood of the answer, of pairs of the chosen one, and its tokens. */
  readonly answerLoss: number;
  readonly answerTokens: number;
  /** Whether the right label is the likeliest, or the chosen answer has the larger reward: 0, 1 or, tied, 0.5. */
  readonly hit?: number;
}

/** Answers count as labels when there are at most so many different ones, each of at most so many words. */
const LABELS = { most: 20, words: 3 };
const EVALUATION_BATCH = 8;

/** Lends a process that holds the plan's model. */
export type Lend = <T>(plan: Plan, work: (process: TrainerProcess) => Promise<T>) => Promise<T>;

/**
 * Measures a model, with an adapter or as it is, on rows; a row of which nothing is left within the plan's
 * `maxLength` counts nothing, with every model.
 * @throws TributaryError `data.all-truncated`, `training.stopped`, `engine.*`
 */
export async function measure(
  options: {
    readonly plan: Plan;
    readonly lend: Lend;
    readonly adapter: NamedTensors | null;
    /** For pairs: the reference, as in training. */
    readonly reference: NamedTensors | null;
    readonly heldOut: readonly (Example | PreferenceExample)[];
  },
  observer: Observer<{ done: number; total: number }> = {},
): Promise<Outcome[]> {
  const { plan, lend, adapter, reference, heldOut } = options;
  const { adapter: configuration, objective } = plan;
  const put = (tensors: NamedTensors | null) => tensors && { configuration, tensors };
  return lend(plan, async (process) => {
    await process.call('setAdapter', put(adapter));
    if (objective === 'dpo') {
      await process.call('setReference', put(reference));
      return measurePairs(process, plan, examplesFor('dpo', heldOut), observer);
    }
    return measureAnswers(process, plan, examplesFor('sft', heldOut), observer);
  });
}

const NOTHING: Outcome = { loss: 0, weight: 0, answerLoss: 0, answerTokens: 0 };

async function measureAnswers(
  process: TrainerProcess,
  { training }: Plan,
  examples: readonly Example[],
  observer: Observer<{ done: number; total: number }>,
): Promise<Outcome[]> {
  const labels = labelsOf(examples);
  if (labels) return measureLabels(process, { training, examples, labels }, observer);
  const request = { ...training, batchSize: EVALUATION_BATCH, examples };
  const result = await process.call('evaluate', request, observer);
  const scored = new Map(result.examples.map((example) => [example.index, example]));
  return examples.map((_, row) => {
    const own = scored.get(row);
    return own === undefined ? NOTHING : outcomeOf(own.loss, own.tokens);
  });
}

async function measureLabels(
  process: TrainerProcess,
  {
    training,
    examples,
    labels,
  }: { examples: readonly Example[]; labels: readonly string[] } & Pick<Plan, 'training'>,
  observer: Observer<{ done: number; total: number }>,
): Promise<Outcome[]> {
  const { template, maxLength } = training;
  const questions = examples.map(({ messages }) => ({ prompt: messages.slice(0, -1), answers: labels }));
  const result = await process.call('scoreAnswers', { questions, template, maxLength }, observer);
  const scored = new Map(result.questions.map(({ index, answers }) => [index, answers]));
  return examples.map((example, row) => {
    const right = labels.indexOf(answerOf(example));
    const answers = scored.get(row);
    if (answers === undefined) return NOTHING;
    const { logProbability, tokens } = answers[right];
    const isAhead = answers.every(
      (answer, label) => label === right || answer.logProbability < logProbability,
    );
    return { ...outcomeOf(-logProbability, tokens), hit: isAhead ? 1 : 0 };
  });
}

function outcomeOf(loss: number, tokens: number): Outcome {
  return { loss, weight: tokens, answerLoss: loss, answerTokens: tokens };
}

async function measurePairs(
  process: TrainerProcess,
  { training }: Plan,
  examples: readonly PreferenceExample[],
  observer: Observer<{ done: number; total: number }>,
): Promise<Outcome[]> {
  const options = { ...PREFERENCE_DEFAULTS, ...training.dpo };
  const request = { ...training, batchSize: EVALUATION_BATCH, examples };
  const result = await process.call('evaluatePreferences', request, observer);
  const scored = new Map(result.examples.map((pair) => [pair.index, pair]));
  return examples.map((_, row) => {
    const pair = scored.get(row);
    if (pair === undefined) return NOTHING;
    const { policy, reference, margin, chosenTokens } = pair;
    return {
      loss: pairLoss(margin, options),
      weight: 1,
      answerLoss: -policy.chosen,
      answerTokens: chosenTokens,
      hit: measurePair(policy, reference, options.beta).accuracy,
    };
  });
}

function answerOf({ messages }: Example): string {
  return messages[messages.length - 1].content.trim();
}

/** The different answers, sorted, where the rows are such that their answers are labels. */
function labelsOf(examples: readonly Example[]): string[] | null {
  const answers = [...new Set(examples.map(answerOf))].sort();
  const areShort = answers.every((answer) => answer.split(/\s+/).length <= LABELS.words);
  const areLabels = answers.length >= 2 && answers.length <= LABELS.most && answers.length < examples.length;
  return areShort && areLabels ? answers : null;
}
