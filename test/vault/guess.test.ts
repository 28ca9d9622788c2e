/** @file Mappings guessed at first sight: for real datasets where they are at hand, and for small tables. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectFile } from '../../core/vault/inspect.ts';

/** Beside the project, where its makers have them; a work tree of it lies one folder deeper. */
const places = ['../../../shared/data', '../../../../shared/data'].map((up) => join(import.meta.dirname, up));
const shared = places.find((path) => existsSync(path)) ?? places[0];
const filesOf = (name: string): string[] => {
  const folder = join(shared, name);
  return existsSync(folder) ? readdirSync(folder).filter((file) => /\.(jsonl|csv)$/.test(file)) : [];
};

describe.skipIf(!existsSync(shared))('of real datasets', () => {
  const asked = { instruction: 'question', response: 'answer' };
  const instruction = { kind: 'instruction', fields: asked };
  it.each(filesOf('medquad'))('medquad %s', async (file) => {
    const { guess, encoding, format } = await inspectFile(join(shared, 'medquad', file));
    expect({ format, encoding }).toEqual({ format: 'jsonl', encoding: 'utf-8' });
    expect(guess?.mapping).toEqual(instruction);
  });
  it.each(filesOf('pubmedqa'))('pubmedqa %s', async (file) => {
    const { guess, others, document } = await inspectFile(join(shared, 'pubmedqa', file));
    expect(guess?.mapping).toEqual({ kind: 'instruction', fields: { ...asked, input: 'context' } });
    expect(others.map(({ mapping }) => mapping)).toContainEqual({
      kind: 'instruction',
      fields: { ...asked, input: 'context', response: 'long_answer' },
    });
    expect(document).toBe(null);
  });
  it.each(filesOf('hh-rlhf'))('hh-rlhf %s', async (file) => {
    const { guess } = await inspectFile(join(shared, 'hh-rlhf', file));
    expect(guess?.mapping).toEqual({
      kind: 'preference',
      fields: { prompt: 'prompt', chosen: 'chosen', rejected: 'rejected' },
    });
  });
  it.each([
    ['banking77', 'train.jsonl', { kind: 'label', fields: { text: 'text', label: 'label' } }],
    ['general', 'conversations.jsonl', { kind: 'chat', fields: { messages: 'messages' } }],
    ['gsm8k', 'train.jsonl', instruction],
    [
      'advbench',
      'harmful_behaviors.csv',
      { kind: 'instruction', fields: { instruction: 'goal', response: 'target' } },
    ],
    ['code', 'mbpp.jsonl', { kind: 'instruction', fields: { instruction: 'text', response: 'code' } }],
    [
      'human-eval',
      'HumanEval.jsonl',
      { kind: 'instruction', fields: { instruction: 'prompt', response: 'canonical_solution' } },
    ],
    [
      'medqa',
      'us-4options-test.jsonl',
      {
        kind: 'text-template',
        template: {
          prompt: '{question}\nA. {options.A}\nB. {options.B}\nC. {options.C}\nD. {options.D}',
          response: '{answer_idx}. {answer}',
        },
      },
    ],
  ])('%s %s', async (folder, file, mapping) => {
    expect((await inspectFile(join(shared, folder, file))).guess?.mapping).toEqual(mapping);
  });
});
