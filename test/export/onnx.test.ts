import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { exportAdapter } from '../../core/export/export.ts';
import { attentionMask } from '../../core/graph/build.ts';
import { Graph } from '../../core/graph/graph.ts';
import { toOnnx } from '../../core/graph/onnx.ts';
import type { Adapter } from '../../core/model/adapter.ts';
import { openModel } from '../../core/model/open.ts';
import { temporaryFolder } from '../model/fixtures.ts';
import { largestDifference } from '../helpers/numbers.ts';
import { nextScores, PROMPT, writeRandomAdapter } from './scores.ts';

const root = temporaryFolder();
const adapterFolder = join(root, 'adapter');
const out = join(root, 'onnx');
const LAYERS = 2;
const VOCABULARY = 260;
let adapter: Adapter;
let session: InferenceSession;
let ids: number[];

beforeAll(async () => {
  adapter = await writeRandomAdapter(adapterFolder);
  const files = await exportAdapter({ adapter: adapterFolder, model: 'tiny', format: 'onnx', out });
  expect(files.map((file) => file.slice(out.length + 1))).toEqual([
    ...['README.md', 'config.json', 'model.onnx', 'model.onnx_data', 'tokenizer.json'],
    'tokenizer_config.json',
  ]);
  session = await InferenceSession.create(join(out, 'model.onnx'));
  const tiny = await openModel('tiny');
  ids = [...tiny.tokenizer.encode(PROMPT, { special: false }).ids];
});

const integers = (rows: readonly (readonly number[])[]) =>
  new Tensor('int64', BigInt64Array.from(rows.flat(), BigInt), [rows.length, rows[0].length]);

type Results = Record<string, Tensor>;

/** Runs texts of one length, `tokens` saying which places hold one, after what a run before has left. */
async function runTexts(
  texts: readonly (readonly number[])[],
  { tokens, positions, before }: { tokens: number[][]; positions: number[][]; before?: Results },
): Promise<Results> {
  const feeds: Results = {
    input_ids: integers(texts),
    attention_mask: integers(tokens),
    position_ids: integers(positions),
  };
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const part of ['key', 'value']) {
      const empty = new Tensor('float32', new Float32Array(0), [texts.length, 2, 0, 16]);
      feeds[`past_key_values.${layer}.${part}`] = before?.[`present.${layer}.${part}`] ?? empty;
    }
  }
  return await session.run(feeds);
}

const places = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);
const ones = (count: number) => Array.from({ length: count }, () => 1);

/** Scores at a place of a text. */
function scoresAt({ logits }: Results, row: number, place: number): Float32Array {
  const start = (row * logits.dims[1] + place) * VOCABULARY;
  return (logits.data as Float32Array).slice(start, start + VOCABULARY);
}

describe('a merged ONNX model', () => {
  it('scores tokens as the adapter does on its base', async () => {
    const results = await runTexts([ids], { tokens: [ones(ids.length)], positions: [places(ids.length)] });
    expect(results.logits.dims).toEqual([1, ids.length, VOCABULARY]);
    const expected = await nextScores('tiny', { adapter, cache: root });
    const base = await nextScores('tiny', { adapter: null, cache: root });
    expect(largestDifference(scoresAt(results, 0, ids.length - 1), expected)).toBeLessThan(2e-4);
    expect(largestDifference(expected, base)).toBeGreaterThan(0.05);
  });

  it('goes on from its cache as if the text had been read at once', async () => {
    const whole = await runTexts([ids], { tokens: [ones(ids.length)], positions: [places(ids.length)] });
    const before = await runTexts([ids.slice(0, 7)], { tokens: [ones(7)], positions: [places(7)] });
    const rest = ids.length - 7;
    const after = await runTexts([ids.slice(7)], {
      ...{ tokens: [ones(ids.length)], positions: [places(rest, 7)], before },
    });
    for (const place of places(rest)) {
      expect(largestDifference(scoresAt(after, 0, place), scoresAt(whole, 0, 7 + place))).toBeLessThan(1e-4);
    }
    expect(after['present.0.key'].dims).toEqual([1, 2, ids.length, 16]);
  });

  it('does not see padding before a shorter text', async () => {
    const short = ids.slice(0, 5);
    const padding = ids.length - short.length;
    const filled = [...Array.from({ length: padding }, () => 259), ...short];
    const both = await runTexts([ids, filled], {
      tokens: [ones(ids.length), [...Array.from({ length: padding }, () => 0), ...ones(5)]],
      positions: [places(ids.length), [...Array.from({ length: padding }, () => 0), ...places(5)]],
    });
    const alone = await runTexts([short], { tokens: [ones(5)], positions: [places(5)] });
    for (const place of places(5)) {
      expect(largestDifference(scoresAt(both, 1, padding + place), scoresAt(alone, 0, place))).toBeLessThan(
        1e-4,
      );
    }
  });
});

it('hides what is behind a sliding window', async () => {
  const graph = new Graph();
  const tokens = graph.input('tokens', 'int64', ['batch', 'total']);
  graph.output('mask', attentionMask(tokens, graph.input('ids', 'int64', ['batch', 'length']), 2));
  const opened = await InferenceSession.create(toOnnx(graph).bytes);
  const { mask } = await opened.run({ tokens: integers([[1, 1, 0, 1, 1]]), ids: integers([[7, 7, 7]]) });
  expect(mask.dims).toEqual([1, 1, 1, 3, 5]);
  const seen = Array.from(mask.data as Float32Array, (value) => (value === 0 ? 1 : 0));
  expect([seen.slice(0, 5), seen.slice(5, 10), seen.slice(10)]).toEqual([
    [0, 1, 0, 0, 0],
    [0, 0, 0, 1, 0],
    [0, 0, 0, 1, 1],
  ]);
});
