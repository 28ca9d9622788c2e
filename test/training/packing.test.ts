import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { paddedBatch, UNSUPERVISED, type EngineBatch } from '../../core/engine/batch.ts';
import { Engine } from '../../core/engine/engine.ts';
import { emptyParameters } from '../../core/engine/parameters.ts';
import { loraShapes } from '../../core/model/lora.ts';
import { openTiny, TINY_CONFIGURATION } from '../../core/model/tiny.ts';
import { Random } from '../../core/random.ts';
import { packBatch } from '../../core/training/packing.ts';
import type { TokenExample } from '../../core/training/tokens.ts';
import { temporaryFolder } from '../model/fixtures.ts';

/** An example whose first `prompt` tokens are not supervised. */
function exampleOf(ids: readonly number[], prompt: number): TokenExample {
  const labels = Int32Array.from(ids, (id, at) => (at < prompt ? UNSUPERVISED : id));
  return { ids: Int32Array.from(ids), labels, supervisedTokens: ids.length - Math.max(1, prompt) };
}

const range = (from: number, length: number) => Array.from({ length }, (_, at) => from + at);

/** The tokens that each target is predicted from, read off the segments. */
function contextsOf(batch: EngineBatch): number[][] {
  return Array.from(batch.targets.places, (place) => {
    const [row, offset] = [Math.floor(place / batch.length), place % batch.length];
    let at = batch.segments.findIndex(
      (one) => one.row === row && one.start <= offset && offset < one.start + one.length,
    );
    let end = offset + 1;
    const context: number[] = [];
    for (;;) {
      const segment = batch.segments[at];
      const first = row * batch.length;
      context.unshift(...batch.ids.subarray(first + segment.start, first + end));
      expect(batch.positions[first + segment.start]).toBe(
        segment.parent === null ? 0 : batch.positions[first + end - 1] - (end - 1 - segment.start),
      );
      if (segment.parent === null) return context;
      at = segment.parent;
      end = batch.segments[at].start + batch.segments[at].length;
    }
  });
}

/** Examples that often begin alike: from few tokens, cut anywhere, some of them twice. */
const arbitraryExamples = fc
  .array(
    fc.record({
      ids: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 12 }),
      tail: fc.integer({ min: 1, max: 12 }),
      prompt: fc.integer({ min: 0, max: 12 }),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((drawn) =>
    drawn.map(({ ids, tail, prompt }) => {
      const whole = [...range(5, 6), ...ids, ...range(20, tail)];
      return exampleOf(whole, Math.min(prompt, whole.length - 1));
    }),
  );

describe('packing', () => {
  it('keeps each example as it is: its targets, and for each what precedes it', () => {
    fc.assert(
      fc.property(arbitraryExamples, fc.boolean(), (examples, sharePrefixes) => {
        const batch = packBatch(examples, { filler: 0, sharePrefixes });
        const contexts = contextsOf(batch);
        const expected = examples.flatMap(({ ids, labels }, example) =>
          Array.from(labels, (label, at) => ({ example, label, context: [...ids.subarray(0, at)] })).slice(1),
        );
        const found = contexts.map((context, index) => ({
          example: batch.targets.examples[index],
          label: batch.targets.labels[index],
          context,
        }));
        expect(found).toEqual(expected.filter(({ label }) => label !== UNSUPERVISED));
        expect(batch.ids).toHaveLength(batch.batch * batch.length);
        expect(batch.places).toBe(batch.ids.length);
        const filled = batch.segments.reduce((sum, { length }) => sum + length, 0);
        expect(batch.padding).toBe(batch.places - filled);
        expect(batch.tokens).toBe(examples.reduce((sum, { ids }) => sum + ids.length, 0));
        expect(batch.supervisedTokens).toBe(found.length);
        if (!sharePrefixes) expect(filled).toBe(batch.tokens);
      }),
    );
  });

  it('never fills a place twice', () => {
    fc.assert(
      fc.property(arbitraryExamples, (examples) => {
        const batch = packBatch(examples, { filler: 0 });
        const uses = new Uint8Array(batch.places);
        for (const { row, start, length } of batch.segments) {
          for (let at = start; at < start + length; at++) uses[row * batch.length + at]++;
        }
        expect(Math.max(...uses)).toBe(1);
      }),
    );
  });

  it('lays short examples side by side', () => {
    const lengths = [500, 120, 90, 60];
    const examples = lengths.map((length, index) => exampleOf(range(1000 * index, length), 10));
    const { batch, length, padding } = packBatch(examples, { filler: 0 });
    expect(padding).toBeLessThan(0.25 * 770);
    expect(batch * length).toBeLessThan(1000);
  });

  it('does not make long rows of long examples', () => {
    const examples = range(0, 4).map((index) => exampleOf(range(1000 * index, 512), 10));
    expect(packBatch(examples, { filler: 0 })).toMatchObject({ batch: 4, length: 512, padding: 0 });
  });

  it('stores the prompt of several answers once', () => {
    const answers = range(0, 8).map((index) => {
      const prompt = range(1000 * Math.floor(index / 2), 300);
      return exampleOf([...prompt, ...range(10_000 + 100 * index, 50)], 300);
    });
    const shared = packBatch(answers, { filler: 0 });
    expect(shared).toMatchObject({ batch: 4, length: 400, padding: 0, tokens: 8 * 350 });
    expect(packBatch(answers, { filler: 0, sharePrefixes: false }).places).toBe(8 * 350);
  });

  it('stores equal examples once, and both are targets', () => {
    const example = exampleOf(range(1, 20), 8);
    const { places, targets } = packBatch([example, example], { filler: 0 });
    expect(places).toBe(20);
    expect([...targets.places.subarray(12)]).toEqual([...targets.places.subarray(0, 12)]);
    expect([...targets.examples.subarray(11, 13)]).toEqual([0, 1]);
  });

  it('gives the same layout for the same examples', () => {
    const random = new Random('layout');
    const examples = range(0, 16).map((index) => exampleOf(range(100 * index, 2 + random.below(300)), 1));
    expect(packBatch(examples, { filler: 0 })).toEqual(packBatch(examples, { filler: 0 }));
  });
});

describe('a packed batch', () => {
  const lora = { rank: 4, alpha: 8, targets: 'all-linear' as const };
  const shapes = loraShapes(TINY_CONFIGURATION, lora);
  const { weights } = openTiny();
  const options = { precision: 'f32', device: 'cpu', threads: 1, cache: temporaryFolder() } as const;
  const engine = new Engine(weights, options);
  const windowed = new Engine(
    { ...weights, configuration: { ...weights.configuration, slidingWindow: 6 } },
    options,
  );
  afterAll(async () => {
    await engine.release();
    await windowed.release();
  });
  const parameters = emptyParameters(shapes);
  const normal = new Random('adapter');
  for (let at = 0; at < parameters.flat.length; at++) parameters.flat[at] = 0.1 * normal.normal();

  async function computed(batch: EngineBatch, share: number, engine: Engine) {
    const gradients = emptyParameters(shapes);
    const adapter = { configuration: lora, parameters: parameters.tensors, gradients };
    await engine.lossAndGradients(batch, adapter, share);
    return { losses: (await engine.loss(batch, adapter)).tokenLosses, gradients: gradients.flat };
  }
  const distance = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    Math.sqrt(Array.from(a).reduce((sum, value, at) => sum + (value - b[at]) ** 2, 0));
  function expectClose(found: ArrayLike<number>, expected: ArrayLike<number>) {
    expect(found).toHaveLength(expected.length);
    const size = distance(
      expected,
      Array.from(expected, () => 0),
    );
    expect(distance(found, expected)).toBeLessThanOrEqual(1e-5 * size);
  }

  async function expectExact(examples: readonly TokenExample[], on = engine): Promise<void> {
    const share = 1 / examples.reduce((sum, { supervisedTokens }) => sum + supervisedTokens, 0);
    const padded = await computed(paddedBatch(examples, 0), share, on);
    const alone = await Promise.all(examples.map((one) => computed(paddedBatch([one], 0), share, on)));
    const sum = alone[0].gradients.map((_, at) => alone.reduce((all, one) => all + one.gradients[at], 0));
    for (const sharePrefixes of [true, false]) {
      const packed = await computed(packBatch(examples, { filler: 0, sharePrefixes }), share, on);
      expectClose(packed.losses, padded.losses);
      expectClose(
        packed.losses,
        alone.flatMap(({ losses }) => [...losses]),
      );
      expectClose(packed.gradients, padded.gradients);
      expectClose(packed.gradients, sum);
    }
  }

  it('gives the losses and gradients of its examples alone', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryExamples, (examples) => expectExact(examples)),
      { numRuns: 25 },
    );
  });

  it('does so too where a token sees no further back than a window', async () => {
    const texts = range(0, 3).map((index) => exampleOf([...range(1, 12), ...range(20 + 9 * index, 8)], 5));
    await expectExact(texts, windowed);
    const far = await computed(paddedBatch(texts, 0), 1, engine);
    const near = await computed(paddedBatch(texts, 0), 1, windowed);
    expect(distance(far.losses, near.losses)).toBeGreaterThan(
      1e-3 *
        distance(
          far.losses,
          far.losses.map(() => 0),
        ),
    );
  });

  it.each([
    ['equal examples', [exampleOf(range(1, 20), 8), exampleOf(range(1, 20), 8)]],
    ['one that begins another', [exampleOf(range(1, 20), 8), exampleOf(range(1, 9), 4)]],
    ['all supervised', [exampleOf(range(1, 20), 0), exampleOf(range(1, 9), 0), exampleOf(range(7, 9), 0)]],
    ['prompts of one token', range(0, 5).map((index) => exampleOf([1, ...range(30 * index, 9)], 1))],
    [
      'answers to one long prompt',
      range(0, 4).map((index) => exampleOf([...range(1, 60), ...range(70 + 9 * index, 5 + index)], 60)),
    ],
  ])('does so too for %s', async (_, examples) => {
    await expectExact(examples);
  });
});
