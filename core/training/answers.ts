/** @file How likely a model with its adapter finds each of the possible answers to prompts. */

import type { Engine } from '../engine/engine.ts';
import type { OpenModel } from '../model/open.ts';
import { tokenizeAnswers } from './answer-tokens.ts';
import { answerTree, type AnswerTokens } from './answer-tree.ts';
import { modelTemplate } from './model-text.ts';
import { stopIfAborted, type Observer } from './observer.ts';
import type { AnswerScore, ScoreRequest, ScoreResult } from './requests.ts';
import { engineAdapter, type TrainedAdapter } from './trained-adapter.ts';

interface Question {
  readonly index: number;
  readonly texts: readonly AnswerTokens[];
}

/** A batch is filled up to this many places: more make attention dear, fewer the reading of all weights. */
const PLACES = 256;
/** A beginning shorter than this is not worth a computation of its own. */
const SHORTEST = 32;

/**
 * Scores of answers. What the answers of a prompt have in common is computed once, and what several prompts begin
 * with (instructions, solved examples) once for all of them. Prompts with an answer that exceeds the longest length
 * are left out.
 * @throws TributaryError `template.none`, `training.stopped` when the signal aborts
 */
export async function scoreAnswers(
  { model, engine, adapter }: { model: OpenModel; engine: Engine; adapter: TrainedAdapter | null },
  request: ScoreRequest,
  observer: Observer<{ done: number; total: number }>,
): Promise<ScoreResult> {
  const template = request.template === 'none' ? null : modelTemplate(model, request.template);
  const longest = Math.min(request.maxLength ?? Infinity, model.configuration.maximumPositions);
  const kept: Question[] = [];
  const tooLong: number[] = [];
  for (const [index, question] of request.questions.entries()) {
    stopIfAborted(observer.signal);
    const texts = tokenizeAnswers(question, { template, tokenizer: model.tokenizer });
    if (texts.some(({ ids }) => ids.length > longest)) tooLong.push(index);
    else kept.push({ index, texts });
  }
  const found: { index: number; answers: AnswerScore[] }[] = [];
  let places = 0;
  for (const { questions, shared } of groupsOf(kept)) {
    const batches = batchesOf(questions, shared);
    const isShared = batches.length > 1 && shared >= SHORTEST;
    const after = isShared
      ? await engine.beginning(questions[0].texts[0].ids.subarray(0, shared), engineAdapter(adapter))
      : null;
    places += after?.tokens ?? 0;
    for (const members of batches) {
      stopIfAborted(observer.signal);
      const batch = answerTree(
        members.flatMap(({ texts }) => texts),
        after?.tokens ?? 0,
      );
      places += batch.length;
      const losses = after
        ? await engine.tokenLosses(batch, engineAdapter(adapter), after)
        : (await engine.loss(batch, engineAdapter(adapter))).tokenLosses;
      let at = 0;
      for (const { index, texts } of members) {
        const answers = texts.map(({ ids, answer }): AnswerScore => {
          const own = losses.subarray(at, (at += ids.length - answer));
          const logProbability = own.reduce((sum, loss) => sum - loss, 0);
          return { logProbability, tokens: own.length, first: -own[0], firstToken: ids[answer] };
        });
        found.push({ index, answers });
      }
      observer.report?.({ done: found.length, total: kept.length });
    }
  }
  found.sort((a, b) => a.index - b.index);
  return { questions: found, tooLong, places };
}

/**
 * Questions whose prompts begin alike, and with how many tokens before any answer. They are brought into the order of
 * their tokens, so that those with the most in common come together; a group ends where the next question would
 * halve what its members share.
 */
function groupsOf(questions: readonly Question[]): { questions: Question[]; shared: number }[] {
  const sorted = questions.toSorted((a, b) => compare(a.texts[0].ids, b.texts[0].ids) || a.index - b.index);
  const groups: { questions: Question[]; shared: number }[] = [];
  for (const question of sorted) {
    const last = groups.at(-1);
    // The last token before an answer is read with the question, for it predicts the answer.
    const own = Math.min(...question.texts.map(({ answer }) => answer)) - 1;
    const shared = last ? Math.min(own, last.shared, common(last.questions[0], question)) : 0;
    if (last && (last.questions.length === 1 ? shared >= SHORTEST : 2 * shared >= last.shared)) {
      last.questions.push(question);
      last.shared = shared;
    } else groups.push({ questions: [question], shared: own });
  }
  return groups;
}

/** Consecutive questions whose places after the shared ones fill a batch, each at least one. */
function batchesOf(questions: readonly Question[], shared: number): Question[][] {
  const batches: Question[][] = [];
  let room = 0;
  for (const question of questions) {
    const places = answerTree(question.texts, shared).length;
    if (places > room) {
      batches.push([]);
      room = PLACES;
    }
    batches[batches.length - 1].push(question);
    room -= places;
  }
  return batches;
}

function common(one: Question, other: Question): number {
  const [a, b] = [one.texts[0].ids, other.texts[0].ids];
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function compare(a: Int32Array, b: Int32Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return a[at] - b[at];
  return a.length - b.length;
}
