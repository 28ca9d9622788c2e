import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readExamples } from '../../core/site/examples.ts';
import { openTiny } from '../../core/model/tiny.ts';
import { sampleRound } from '../../core/training/batches.ts';
import type { Example } from '../../core/training/examples.ts';
import { modelTemplate } from '../../core/training/model-text.ts';
import { tokenizeExamples } from '../../core/training/tokens.ts';
import { openVault } from '../../core/vault/vault.ts';
import type { ImportOptions, Vault } from '../../core/vault/vault.ts';

let folder: string;
let vault: Vault;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-examples-'));
  vault = openVault(join(folder, 'vault.sqlite'), { key: randomBytes(32) });
});
afterEach(() => {
  vault.close();
  rmSync(folder, { recursive: true });
});

/** 400 rows of 100 persons. */
async function importRows(options: Partial<ImportOptions>): Promise<void> {
  const path = join(folder, 'rows.jsonl');
  const rows = Array.from({ length: 400 }, (_, i) => ({
    question: `q${i}`,
    answer: `a${i}`,
    patient: `p${i % 100}`,
  }));
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const mapping = { kind: 'instruction', fields: { instruction: 'question', response: 'answer' } } as const;
  await vault.importFile(path, { as: 'notes', mapping, ...options });
}

const questions = (examples: readonly unknown[]) =>
  (examples as Example[]).map(({ messages }) => messages[0].content);
const persons = (examples: readonly unknown[]) =>
  new Set((examples as Example[]).map(({ person }) => person));
const evaluation = { share: 0.2, minimum: 8, every: 1 };

describe('readExamples', () => {
  it('trains on rows for training alone and scores those for validation, which the plan cannot change', async () => {
    await importRows({ split: { validation: 0.2, test: 0.1 }, person: 'patient' });
    const records = [...vault.records('notes')];
    const side = (split: string) =>
      records.filter((record) => record.split === split).map(({ row }) => row.instruction);
    expect(side('test').length).toBeGreaterThan(0);
    const plain = readExamples(vault, 'notes', { objective: 'sft', data: undefined, evaluation: undefined });
    expect(questions(plain.examples)).toEqual(side('train'));
    expect(plain.heldOut).toEqual([]);
    const scored = readExamples(vault, 'notes', { objective: 'sft', data: undefined, evaluation });
    expect(questions(scored.examples)).toEqual(side('train'));
    expect(questions(scored.heldOut)).toEqual(side('validation'));
  });

  it('scores rows for test where there are none for validation', async () => {
    await importRows({ split: { validation: 0, test: 0.2 } });
    const { examples, heldOut } = readExamples(vault, 'notes', {
      objective: 'sft',
      data: undefined,
      evaluation,
    });
    expect(heldOut.length).toBeGreaterThan(0);
    expect(heldOut.length + examples.length).toBe(400);
  });

  it.each([{ split: { validation: 0.2, test: 0.2 } }, {}])(
    'keeps the rows of a person on one side, with their keyed hash (%j)',
    async (options) => {
      await importRows({ ...options, person: 'patient' });
      const { examples, heldOut } = readExamples(vault, 'notes', {
        objective: 'sft',
        data: undefined,
        evaluation,
      });
      const [trained, scored] = [persons(examples), persons(heldOut)];
      expect(scored.size).toBeGreaterThan(0);
      expect(trained.has(undefined)).toBe(false);
      expect([...scored].filter((person) => trained.has(person))).toEqual([]);
    },
  );

  it('lets the hash of the person follow an example into the batches', async () => {
    await importRows({ person: 'patient' });
    const { examples } = readExamples(vault, 'notes', {
      objective: 'sft',
      data: undefined,
      evaluation: undefined,
    });
    const model = openTiny();
    const tokens = tokenizeExamples(examples as Example[], {
      template: modelTemplate(model, 'chat'),
      tokenizer: model.tokenizer,
      maxLength: 128,
    });
    const [batch] = sampleRound({ examples: tokens.examples, batchSize: 400, steps: 1, seedParts: [1] });
    expect(new Set(batch.map(({ person }) => person))).toEqual(persons(examples));
    expect(persons(examples).size).toBe(100);
  });
});
