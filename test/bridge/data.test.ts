import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventBody, EventName, Input, Output, RequestName } from '../../core/bridge/contract.ts';
import { createDispatcher } from '../../core/bridge/dispatch.ts';
import type { Dispatcher } from '../../core/bridge/dispatch.ts';
import { dataHandlers } from '../../core/bridge/site/data.ts';
import { createTasks } from '../../core/bridge/tasks.ts';
import type { Tasks } from '../../core/bridge/tasks.ts';
import { startSite } from '../../core/site/site.ts';
import type { Site } from '../../core/site/site.ts';
import { makeTrainer, SOFTWARE } from '../helpers/site.ts';

let folder: string;
let site: Site;
let dispatcher: Dispatcher;
let tasks: Tasks;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-data-'));
  site = await open();
  const emit: Dispatcher['emit'] = (event, body) => dispatcher.emit(event, body);
  tasks = createTasks(emit);
  dispatcher = createDispatcher(() => dataHandlers({ site: () => site, tasks, emit }));
});
afterEach(async () => {
  await tasks.close();
  await site.stop();
  rmSync(folder, { recursive: true });
});

/** A site without a federation, as a window has it at first. */
function open(): Promise<Site> {
  return startSite({
    folder: join(folder, 'site'),
    trainer: makeTrainer(),
    software: SOFTWARE,
    resident: true,
  });
}

async function ask<Name extends RequestName>(name: Name, input: Input<Name>): Promise<Output<Name>> {
  const answer = await dispatcher.answer(name, input);
  if ('error' in answer) throw Object.assign(new Error(answer.error.message), answer.error);
  return answer.output as Output<Name>;
}

/** What a window is told of an event while something goes on. */
function hear<Name extends EventName>(name: Name): EventBody<Name>[] {
  const heard: EventBody<Name>[] = [];
  dispatcher.listen((event, body) => {
    if (event === name) heard.push(body as EventBody<Name>);
  });
  return heard;
}

function ended(task: string): Promise<EventBody<'task'>> {
  return new Promise((resolve) => {
    const stop = dispatcher.listen((event, body) => {
      const told = body as EventBody<'task'>;
      if (event !== 'task' || told.task !== task || told.state === 'running') return;
      stop();
      resolve(told);
    });
  });
}

/** The way of the window: look, map as was guessed, preview, screen, import with what is advised. */
async function connect(path: string, more: Partial<Input<'data.import'>> = {}) {
  const inspection = await ask('data.inspect', { path });
  if (inspection.guess === null) throw new Error(`nothing was guessed for ${path}`);
  const source = { path, mapping: inspection.guess.mapping };
  const preview = await ask('data.preview', { source, model: 'tiny' });
  const { findings } = await ask('data.screen', { source });
  const personal = Object.fromEntries(findings.map(({ kind, advice }) => [kind, advice]));
  const { task } = await ask('data.import', { ...source, name: inspection.suggestedName, personal, ...more });
  return { inspection, preview, findings, end: await ended(task) };
}

function table(...lines: string[]): string {
  const path = join(folder, 'clinic notes.csv');
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

describe('the way of a file into the vault', () => {
  it('is inspected, previewed, screened, imported as chosen, listed, paged and searched', async () => {
    const path = table(
      'patient_id,question,answer',
      '17,What helps?,"Rest. Ask Dr. Amelia Roe, (212) 555-0147."',
      '17,And then?,More rest.',
      '18,When?,"On 2023-02-28, then daily."',
      '19,,nothing was asked',
    );
    const changed = hear('changed');
    const { inspection, preview, findings, end } = await connect(path, {
      person: 'patient_id',
      personal: { name: 'mask', phone: 'mask', date: 'exclude' },
    });
    expect(inspection).toMatchObject({
      format: 'csv',
      rows: { count: 4, exact: true },
      person: 'patient_id',
      suggestedName: 'clinic-notes',
      guess: { mapping: { kind: 'instruction', fields: { instruction: 'question', response: 'answer' } } },
    });
    expect(preview.reason).toBeNull();
    expect(preview.examples).toHaveLength(3);
    const [{ segments, trainedTokens }] = preview.examples;
    expect(segments.map(({ trained }) => trained)).toEqual([false, true]);
    expect(segments[1].text).toBe('Rest. Ask Dr. Amelia Roe, (212) 555-0147.<|im_end|>');
    // A byte is a token of `tiny`, and what ends the turn another.
    expect(trainedTokens).toBe('Rest. Ask Dr. Amelia Roe, (212) 555-0147.'.length + 1);
    expect(findings).toMatchObject([
      { kind: 'date', count: 1, columns: ['answer'] },
      { kind: 'phone', count: 1, rows: 1, columns: ['answer'] },
      { kind: 'name', samples: ['A••• •••'] },
    ]);

    expect(end).toMatchObject({ state: 'done', kind: 'import', subject: 'clinic-notes' });
    const personal = {
      date: { choice: 'exclude', findings: 1, rows: 1 },
      phone: { choice: 'mask', findings: 1, rows: 1 },
      name: { choice: 'mask', findings: 1, rows: 1 },
    };
    const { datasets } = await ask('data.list', {});
    expect(datasets).toEqual([end.result]);
    expect(datasets).toMatchObject([
      {
        name: 'clinic-notes',
        version: 1,
        rows: 2,
        skipped: 2,
        masked: 1,
        objective: 'sft',
        personal,
        runs: [],
      },
    ]);
    expect(changed).toEqual([{ what: 'datasets' }]);
    const page = await ask('data.rows', { dataset: 'clinic-notes' });
    expect(page).toEqual({
      total: 2,
      columns: ['instruction', 'response'],
      rows: [
        {
          row: 1,
          part: 'train',
          values: { instruction: 'What helps?', response: 'Rest. Ask Dr. [NAME], [PHONE].' },
        },
        { row: 2, part: 'train', values: { instruction: 'And then?', response: 'More rest.' } },
      ],
    });
    expect(await ask('data.inspect', { path })).toMatchObject({ suggestedName: 'clinic-notes-2' });

    const hits = hear('search');
    const { task } = await ask('data.search', { dataset: 'clinic-notes', text: 'MORE' });
    expect(await ended(task)).toMatchObject({ state: 'done', result: { hits: 1, complete: true } });
    expect(hits.flatMap((event) => event.hits)).toEqual([{ row: 2, column: 'response', text: 'More rest.' }]);
  });

  it('enters in the ledger what was imported and chosen, once, also after a crash between vault and ledger', async () => {
    await connect(table('question,answer', 'Who?,Dr. Roe'), { personal: { name: 'mask' } });
    const lines = await ledger();
    expect(lines).toMatchObject([
      {
        dataset: 'clinic-notes@1',
        rows: 1,
        skipped: 0,
        personal: { name: { choice: 'mask', findings: 1, rows: 1 } },
      },
    ]);
    expect(JSON.stringify(lines)).not.toContain('Roe');
    // As after a crash: the vault has a version that the ledger does not know.
    await site.context.vault.importFile(table('question,answer', 'Why?,Because'), {
      as: 'later',
      mapping: { kind: 'fields', fields: {} },
    });
    await site.stop();
    site = await open();
    expect((await ledger()).map(({ dataset }) => dataset)).toEqual(['clinic-notes@1', 'later@1']);
  });

  it('treats what the first rows did not show, and becomes the next version where that is asked for', async () => {
    const path = table('question,answer', 'What helps?,Rest.', 'Whom to ask?,"Call (212) 555-0147."');
    const { guess, suggestedName } = await ask('data.inspect', { path });
    if (guess === null) throw new Error('nothing was guessed');
    const source = { path, mapping: guess.mapping };
    expect(await ask('data.screen', { source, rows: 1 })).toEqual({ rows: 1, findings: [] });
    const request = { ...source, name: suggestedName, personal: {} };
    const imported = async (more: Partial<Input<'data.import'>>) =>
      ended((await ask('data.import', { ...request, ...more })).task);
    const phones = (choice: string) => ({ phone: { choice, findings: 1, rows: 1 } });
    expect(await imported({ unseen: 'mask' })).toMatchObject({
      result: { version: 1, masked: 1, personal: phones('mask') },
    });
    expect(await imported({})).toMatchObject({ error: { code: 'vault.dataset-exists' } });
    expect(await imported({ newVersion: true })).toMatchObject({
      result: { version: 2, masked: 0, personal: phones('keep') },
    });
  });

  it('is withdrawn after it was said what that does', async () => {
    await connect(table('question,answer', 'Who?,Nobody', 'Why?,Because'));
    const outlook = await ask('data.withdraw', { dataset: 'clinic-notes' });
    expect(outlook).toMatchObject({ withdrawn: false, rows: 2, runs: [], adapters: [] });
    expect((await ask('data.list', {})).datasets).toHaveLength(1);
    expect(await ask('data.withdraw', { dataset: 'clinic-notes', confirm: true })).toEqual({
      ...outlook,
      withdrawn: true,
    });
    expect(await ask('data.list', {})).toEqual({ datasets: [] });
    await expect(ask('data.rows', { dataset: 'clinic-notes' })).rejects.toMatchObject({
      code: 'vault.unknown-dataset',
    });
  });

  it('ends a cancelled import with nothing of it visible', async () => {
    const path = join(folder, 'many.jsonl');
    writeFileSync(path, '{"question":"q","answer":"a"}\n'.repeat(200_000));
    const { task } = await ask('data.import', {
      path,
      mapping: { kind: 'fields', fields: {} },
      name: 'many',
    });
    const end = ended(task);
    const stop = dispatcher.listen((event, body) => {
      if (event !== 'task' || !((body as EventBody<'task'>).done > 0)) return;
      stop();
      tasks.cancel(task);
    });
    expect(await end).toMatchObject({ state: 'cancelled' });
    expect(await ask('data.list', {})).toEqual({ datasets: [] });
  });
});

describe('the preview', () => {
  it('says why nothing would be trained', async () => {
    const path = table('question,answer', `${'Why? '.repeat(20)},Because`);
    const mapping = { kind: 'instruction', fields: { instruction: 'question', response: 'answer' } } as const;
    const preview = await ask('data.preview', { source: { path, mapping }, model: 'tiny', maxLength: 64 });
    expect(preview).toMatchObject({
      trainedTokens: 0,
      examples: [{ tokens: 64, trainedTokens: 0, cut: true, segments: [{ trained: false }] }],
    });
    expect(preview.reason).toContain('the first 64 tokens of tiny');
    const twice = { kind: 'fields', fields: { text: 'question' } } as const;
    expect(await ask('data.preview', { source: { path, mapping: twice }, model: 'tiny' })).toMatchObject({
      examples: [],
      reason: expect.stringContaining('None of the first 1 rows is an example') as string,
    });
  });

  it('shows both answers of a pair after one prompt, and where an example was cut', async () => {
    const path = table('prompt,chosen,rejected', 'Help?,Gladly.,No.');
    const mapping = {
      kind: 'preference',
      fields: { prompt: 'prompt', chosen: 'chosen', rejected: 'rejected' },
    } as const;
    const { examples } = await ask('data.preview', { source: { path, mapping }, model: 'tiny' });
    const trained = (segments: readonly { text: string; trained: boolean }[]) =>
      segments.filter((segment) => segment.trained).map(({ text }) => text);
    expect(trained(examples[0].segments)).toEqual(['Gladly.<|im_end|>']);
    expect(trained(examples[0].rejected?.segments ?? [])).toEqual(['No.<|im_end|>']);
    const long = table('question,answer', 'Why?,Because it is so');
    const cut = await ask('data.preview', {
      source: {
        path: long,
        mapping: { kind: 'instruction', fields: { instruction: 'question', response: 'answer' } },
      },
      model: 'tiny',
      maxLength: 24,
    });
    expect(cut.examples[0]).toMatchObject({ tokens: 24, cut: true });
    expect(trained(cut.examples[0].segments)[0]).not.toContain('<|im_end|>');
  });
});

const SHARED = join(import.meta.dirname, '..', '..', '..', 'shared', 'data');

describe.skipIf(!existsSync(SHARED))('published files are read right at the first guess', () => {
  const question = { instruction: 'question', response: 'answer' };
  it.each<readonly [file: string, mapping: object, objective: 'sft' | 'dpo']>([
    ...['CDC_QA', 'CancerGov', 'GARD', 'GHR', 'MPlus_Health_Topics', 'NHLBI_QA', 'NIDDK', 'NINDS'].map(
      (name) => [`medquad/${name}.jsonl`, { kind: 'instruction', fields: question }, 'sft'] as const,
    ),
    ['medquad/SeniorHealth.jsonl', { kind: 'instruction', fields: question }, 'sft'],
    ['pubmedqa/pqal.jsonl', { kind: 'instruction', fields: { ...question, input: 'context' } }, 'sft'],
    [
      'hh-rlhf/helpful-test.jsonl',
      { kind: 'preference', fields: { prompt: 'prompt', chosen: 'chosen', rejected: 'rejected' } },
      'dpo',
    ],
    [
      'hh-rlhf/harmless-test.jsonl',
      { kind: 'preference', fields: { prompt: 'prompt', chosen: 'chosen', rejected: 'rejected' } },
      'dpo',
    ],
  ])('%s', async (file, mapping, objective) => {
    const { inspection, preview, end } = await connect(join(SHARED, file));
    expect(inspection.guess?.mapping).toEqual(mapping);
    expect(preview.reason).toBeNull();
    expect(end).toMatchObject({ state: 'done', result: { objective, skipped: 0 } });
    const [dataset] = (await ask('data.list', {})).datasets;
    expect(dataset.rows).toBe(dataset.train);
  });
});

/** Bodies of the entries about imports. */
async function ledger(): Promise<Record<string, unknown>[]> {
  const out = join(folder, 'ledger.jsonl');
  await site.context.store.exportLedger(out);
  return readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind?: string; body: Record<string, unknown> })
    .filter(({ kind }) => kind === 'data-import')
    .map(({ body }) => body);
}
