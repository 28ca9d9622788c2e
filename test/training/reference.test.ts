import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Engine } from '../../core/engine/engine.ts';
import { initialAdapter } from '../../core/model/lora.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { tokenizePreferences } from '../../core/training/preference-tokens.ts';
import { readScores, writeScores } from '../../core/training/reference-cache.ts';
import { createReference } from '../../core/training/reference.ts';
import { makeTemplate } from '../../core/training/templates.ts';
import { fitAdapter } from '../../core/training/trained-adapter.ts';
import { temporaryFolder } from '../model/fixtures.ts';

const before = process.env['TRIBUTARY_HOME'];
beforeEach(() => (process.env['TRIBUTARY_HOME'] = temporaryFolder()));
afterEach(() => {
  if (before === undefined) delete process.env['TRIBUTARY_HOME'];
  else process.env['TRIBUTARY_HOME'] = before;
});

const model = openTiny();
const text = {
  template: makeTemplate('alpaca', {
    renderChat: () => '',
    endOfSequence: model.tokenizer.endOfSequence.text,
  }),
  tokenizer: model.tokenizer,
  maxLength: 256,
};
const pairs = tokenizePreferences(
  ['Hot?', 'Cold?', 'Wet?'].map((content) => ({
    kind: 'preference',
    prompt: [{ role: 'user', content }],
    chosen: `Not ${content}`,
    rejected: 'No.',
  })),
  text,
).map(({ tokens }) => tokens);

/** A reference, and how often its engine has computed. */
function open(adapter: Parameters<typeof createReference>[0]['adapter'] = null) {
  const engine = new Engine(model.weights, {
    precision: 'f32',
    device: 'cpu',
    threads: 1,
    cache: temporaryFolder(),
  });
  const calls = { count: 0 };
  const loss = engine.loss.bind(engine);
  engine.loss = (...parts) => {
    calls.count++;
    return loss(...parts);
  };
  return { reference: createReference({ model, engine, adapter }), calls, release: () => engine.release() };
}

function cacheFiles(): string[] {
  const folder = join(process.env['TRIBUTARY_HOME'] ?? '', 'cache', model.identity.sha256);
  return readdirSync(folder).map((name) => join(folder, name));
}

describe('scores of the reference', () => {
  it('are computed once a pair, whatever is asked for', async () => {
    const { reference, calls, release } = open();
    const first = await reference.score(pairs[0]);
    expect(await reference.score(pairs[0])).toEqual(first);
    expect(first.chosen).toBeLessThan(0);
    expect(calls.count).toBe(1);
    await reference.score(pairs[1]);
    expect(calls.count).toBe(2);
    await release();
  });

  it('are found again by a later process, and computed again where the file is damaged', async () => {
    const one = open();
    const scores = await one.reference.score(pairs[0]);
    await one.reference.save();
    await one.release();
    const two = open();
    expect(await two.reference.score(pairs[0])).toEqual(scores);
    expect(two.calls.count).toBe(0);
    await two.reference.score(pairs[1]);
    await two.reference.save();
    await two.release();
    const [file, ...others] = cacheFiles();
    expect(others).toEqual([]);
    const bytes = readFileSync(file);
    expect(bytes).toHaveLength(32 + 2 * 48);
    for (const damage of [(copy: Buffer) => copy.subarray(0, -1), (copy: Buffer) => copy.fill(0, 70, 71)]) {
      writeFileSync(file, damage(Buffer.from(bytes)));
      const three = open();
      expect(await three.reference.score(pairs[0])).toEqual(scores);
      expect(three.calls.count).toBe(1);
      await three.release();
    }
  });

  it('are of one adapter, and keep what another process has written meanwhile', async () => {
    const base = open();
    const other = open();
    const configuration = { rank: 2, alpha: 8, targets: 'all-linear' as const };
    const tensors = initialAdapter(TINY_CONFIGURATION, configuration, 1);
    for (const { data } of tensors.values()) data.fill(0.05);
    const adapted = open(fitAdapter(model, { configuration, tensors }));
    const scores = await base.reference.score(pairs[0]);
    await other.reference.score(pairs[1]);
    expect((await adapted.reference.score(pairs[0])).chosen).not.toBeCloseTo(scores.chosen, 1);
    for (const { reference } of [base, other, adapted]) await reference.save();
    expect(
      cacheFiles()
        .map((file) => readFileSync(file).length)
        .sort((a, b) => a - b),
    ).toEqual([32 + 48, 32 + 2 * 48]);
    for (const { release } of [base, other, adapted]) await release();
  });

  it('are computed where the cache cannot be written', async () => {
    writeFileSync(join(process.env['TRIBUTARY_HOME'] ?? '', 'cache'), 'a file where a folder is needed');
    const { reference, release } = open();
    await reference.score(pairs[0]);
    await reference.save();
    await release();
  });
});

describe('the file of scores', () => {
  it('is of its key alone', async () => {
    const path = join(temporaryFolder(), 'deeper', 'a.scores');
    mkdirSync(join(path, '..'));
    const scores = new Map([['ab'.repeat(32), { chosen: -1.5, rejected: Math.fround(-0.1) }]]);
    await writeScores(path, 'key', scores);
    expect(await readScores(path, 'key')).toEqual(scores);
    expect(await readScores(path, 'other')).toEqual(new Map());
    writeFileSync(path, '');
    expect(await readScores(path, 'key')).toEqual(new Map());
  });
});
