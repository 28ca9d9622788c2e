/** @file Pairs of whole dialogues, as Anthropic's hh-rlhf has them: "\n\nHuman: … \n\nAssistant: …", twice. */

import type { Message } from './examples.ts';

const ANSWER = '\n\nAssistant:';
const TURN = /\n\n(Human|Assistant):/;

/**
 * What both dialogues say before their last answer, and the two answers. White space around a turn is no part of it.
 *
 * The prompt ends with a turn's mark, not with the last character in common, so that answers which begin alike keep
 * their beginning (OpenFedLLM cuts it off).
 *
 * @returns null where the dialogues differ before the last answer, or a text is no dialogue
 */
export function splitDialogues(
  chosen: string,
  rejected: string,
): { prompt: Message[]; chosen: string; rejected: string } | null {
  const end = chosen.lastIndexOf(ANSWER) + ANSWER.length;
  if (end < ANSWER.length || rejected.lastIndexOf(ANSWER) + ANSWER.length !== end) return null;
  if (chosen.slice(0, end) !== rejected.slice(0, end)) return null;
  const answers = [chosen.slice(end), rejected.slice(end)];
  const [before, ...turns] = chosen.slice(0, end - ANSWER.length).split(TURN);
  // The split alternates between a turn's speaker and its text.
  if (before.trim() !== '' || turns.length === 0 || answers.some((answer) => TURN.test(answer))) return null;
  const prompt: Message[] = [];
  for (let at = 0; at < turns.length; at += 2) {
    const role = turns[at] === 'Human' ? 'user' : 'assistant';
    prompt.push({ role, content: turns[at + 1].trim() });
  }
  return { prompt, chosen: answers[0].trim(), rejected: answers[1].trim() };
}
