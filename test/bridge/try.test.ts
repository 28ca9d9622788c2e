/** @file Trying models and voting through the window's requests, with the model `tiny` in the real training process. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readExamples } from '../../core/site/examples.ts';
import { useSiteWindow } from '../helpers/site-window.ts';
import { until } from '../helpers/until.ts';

const window = useSiteWindow();
const { ask, hear, ended } = window;

async function trained(): Promise<string> {
  await window.application().settings.set({ modelPath: 'tiny' });
  const { task, run } = await ask('alone.start', {
    model: 'tiny',
    steps: 8,
    learningRate: 2e-2,
    maxLength: 128,
  });
  expect(await ended(task)).toMatchObject({ state: 'done' });
  return run;
}

describe('trying models', () => {
  it('answers with the base and with what was trained, streamed, and the same again with the same seed', async () => {
    const run = await trained();
    const { variants } = await ask('try.models', {});
    expect(variants).toMatchObject([
      { variant: 'base', run: null, model: 'tiny' },
      { variant: 'local', run, model: 'tiny' },
    ]);
    const asked = {
      prompt: 'Is a fever of 39 degrees high?',
      variants: [{}, { run }],
      model: 'tiny',
      maxTokens: 24,
    };
    const answersOf = async (seed: number) => {
      const told = hear('tokens');
      const { task } = await ask('try.generate', { ...asked, temperature: 1, seed });
      const { result, state } = await ended(task);
      expect(state).toBe('done');
      const { answers } = result as { answers: { run: string | null; text: string }[] };
      const mine = told.filter((piece) => piece.task === task);
      const streamed = answers.map((_, index) =>
        mine.map((piece) => (piece.index === index ? piece.delta : '')).join(''),
      );
      expect(streamed).toEqual(answers.map(({ text }) => text));
      expect(mine.filter(({ end }) => end).map(({ index, tokens }) => [index, tokens! > 0])).toEqual([
        [0, true],
        [1, true],
      ]);
      return answers;
    };
    const first = await answersOf(3);
    expect(first.map((answer) => answer.run)).toEqual([null, run]);
    expect(first[0].text).not.toBe(first[1].text);
    expect(await answersOf(3)).toMatchObject(first.map(({ text }) => ({ text })));
    expect((await answersOf(4))[0].text).not.toBe(first[0].text);
  });

  it('stops when it is told to, and answers again', async () => {
    const asked = { prompt: 'Tell me all.', variants: [{}], model: 'tiny', temperature: 2 };
    const told = hear('tokens');
    const { task } = await ask('try.generate', { ...asked, maxTokens: 1900 });
    await until(() => expect(told.length).toBeGreaterThan(0));
    await ask('task.cancel', { task });
    expect(await ended(task)).toMatchObject({ state: 'cancelled' });
    expect(told.at(-1)).toMatchObject({ end: true });
    const again = await ask('try.generate', { ...asked, maxTokens: 4 });
    expect(await ended(again.task)).toMatchObject({ state: 'done' });
  });

  it('refuses an adapter that nobody has and a model that is not here', async () => {
    const asked = { prompt: 'Hello', maxTokens: 4 };
    await expect(
      ask('try.generate', { ...asked, model: 'tiny', variants: [{ run: '../..' }] }),
    ).rejects.toMatchObject({
      code: 'results.unknown',
    });
    await expect(
      ask('try.generate', { ...asked, model: '/nowhere.gguf', variants: [{}] }),
    ).rejects.toMatchObject({
      code: 'results.no-model',
    });
    expect(await ask('try.models', {})).toEqual({ variants: [] });
  });
});

describe('a vote', () => {
  const vote = {
    prompt: 'May I fast before the scan?',
    chosen: 'Yes, for six hours.',
    rejected: ['Zebra crossing.', 'Ask Zebedee.'],
  };

  it('becomes a pair on which a run can train, and lies nowhere in the open', async () => {
    const changed = hear('changed');
    expect(await ask('try.vote', vote)).toEqual({ dataset: 'votes', rows: 2 });
    expect(await ask('try.vote', { ...vote, prompt: 'And after it?' })).toEqual({
      dataset: 'votes',
      rows: 4,
    });
    expect(changed).toEqual([{ what: 'datasets' }, { what: 'datasets' }]);
    const { vault } = window.application().site().context;
    const { examples } = readExamples(vault, 'votes', { objective: 'dpo' });
    expect(examples).toMatchObject([
      { kind: 'preference', chosen: vote.chosen, rejected: 'Zebra crossing.' },
      { kind: 'preference', chosen: vote.chosen, rejected: 'Ask Zebedee.' },
      { kind: 'preference', prompt: [{ role: 'user', content: 'And after it?' }] },
      { kind: 'preference', rejected: 'Ask Zebedee.' },
    ]);
    // The first version is as it was.
    expect(vault.dataset('votes@1').rows).toBe(2);
    expect((await ask('data.list', {})).datasets).toMatchObject([
      { name: 'votes', version: 2, rows: 4, objective: 'dpo', kind: 'preference', source: null },
    ]);
    const files = readdirSync(window.folder(), { recursive: true, withFileTypes: true });
    const holding = files.filter(
      (file) => file.isFile() && readFileSync(join(file.parentPath, file.name)).includes('Zebra'),
    );
    expect(holding).toEqual([]);
  });

  it('is not mixed with data that came from a file', async () => {
    const { vault } = window.application().site().context;
    vault.append([{ instruction: 'a', response: 'b' }], {
      to: 'letters',
      mapping: { kind: 'instruction', fields: { instruction: 'instruction', response: 'response' } },
    });
    await expect(ask('try.vote', { ...vote, dataset: 'letters' })).rejects.toMatchObject({
      code: 'vault.dataset-exists',
    });
    await expect(ask('try.vote', { ...vote, dataset: '../votes' })).rejects.toMatchObject({
      code: 'vault.bad-name',
    });
    expect(vault.dataset('letters').rows).toBe(1);
  });
});
