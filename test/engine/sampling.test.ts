import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { likeliest, penalize, sample, sampler, type SamplingOptions } from '../../core/engine/sampling.ts';
import { Random } from '../../core/random.ts';

const all = { temperature: 1, topK: 0, topP: 1 };
/** Scores of the probabilities 1/8, 1/2, 1/16, 1/4, 1/16; a shift of all changes nothing. */
const scores = Float32Array.from([1 / 8, 1 / 2, 1 / 16, 1 / 4, 1 / 16], (share) => Math.log(share) + 30);

/** How often each token is drawn in 20,000 draws. */
function frequencies(options: SamplingOptions): number[] {
  const random = new Random('sampling', 1);
  const counts = Array.from(scores, () => 0);
  for (let draw = 0; draw < 20_000; draw++) counts[sample(scores, options, random)]++;
  return counts.map((count) => count / 20_000);
}

describe('sampling', () => {
  // Of temperature T a token has the share p^(1/T): at 1/2 the squares 4, 64, 1, 16, 1 of 16 p, in sum 86.
  it.each([
    ['from the whole distribution', {}, [1 / 8, 1 / 2, 1 / 16, 1 / 4, 1 / 16]],
    ['sharper at a low temperature', { temperature: 0.5 }, [4 / 86, 64 / 86, 1 / 86, 16 / 86, 1 / 86]],
    ['from the likeliest two', { topK: 2 }, [0, 2 / 3, 0, 1 / 3, 0]],
    [
      'from all where top-k is larger than the vocabulary',
      { topK: 99 },
      [1 / 8, 1 / 2, 1 / 16, 1 / 4, 1 / 16],
    ],
    // 1/2 + 1/4 stays below 0.8, with 1/8 it is reached
    ['from the tokens that reach top-p', { topP: 0.8 }, [1 / 7, 4 / 7, 0, 2 / 7, 0]],
    ['from one token where it alone reaches top-p', { topP: 0.49 }, [0, 1, 0, 0, 0]],
    // of the likeliest three, 4/7 and 2/7 together reach 0.8
    ['by top-p within what top-k has left', { topK: 3, topP: 0.8 }, [0, 2 / 3, 0, 1 / 3, 0]],
    // a third of 1/2 is above 1/8; a quarter is 1/8 itself
    ['from the tokens that reach min-p', { minP: 1 / 3 }, [0, 2 / 3, 0, 1 / 3, 0]],
    ['from tokens that are as likely as min-p asks', { minP: 0.2499 }, [1 / 7, 4 / 7, 0, 2 / 7, 0]],
    ['by min-p within what top-k has left', { topK: 4, minP: 0.2 }, [1 / 7, 4 / 7, 0, 2 / 7, 0]],
    // the squares 64, 16 and 4 of 86: the likeliest two reach 0.9 only because the temperature comes before top-p
    ['by top-p of what the temperature has made', { temperature: 0.5, topP: 0.9 }, [0, 4 / 5, 0, 1 / 5, 0]],
    ['by min-p of what the temperature has made', { temperature: 0.5, minP: 0.2 }, [0, 4 / 5, 0, 1 / 5, 0]],
    ['the likeliest token at temperature 0', { temperature: 0, topK: 4, topP: 0.1 }, [0, 1, 0, 0, 0]],
  ])('draws %s', (_, options, expected) => {
    frequencies({ ...all, ...options }).forEach((frequency, token) => {
      // four standard deviations of a frequency; what has no share is never drawn
      const share = expected[token];
      expect(Math.abs(frequency - share)).toBeLessThanOrEqual(4 * Math.sqrt((share * (1 - share)) / 20_000));
    });
  });

  it('takes the first of equal scores', () => {
    expect(likeliest(Float32Array.of(-3, -1, -2, -1))).toBe(1);
  });

  it('leaves what every filter alone would leave, and no other token', () => {
    const score = fc.float({ min: -20, max: 20, noNaN: true });
    const options = fc.record({
      temperature: fc.constantFrom(0.3, 1, 2),
      topK: fc.integer({ min: 0, max: 8 }),
      topP: fc.constantFrom(0.2, 0.7, 1),
      minP: fc.constantFrom(0, 0.1, 0.9),
    });
    fc.assert(
      fc.property(
        fc.array(score, { minLength: 1, maxLength: 12 }),
        options,
        fc.nat(),
        (values, chosen, seed) => {
          const logits = Float32Array.from(values);
          const token = sample(logits, chosen, new Random('sampling', seed));
          const likelier = [...logits].filter((value) => value > logits[token]);
          const shares = [...logits].map((value) =>
            Math.exp((value - Math.max(...logits)) / chosen.temperature),
          );
          const total = shares.reduce((sum, share) => sum + share, 0);
          const before = likelier.reduce((sum, value) => sum + shares[logits.indexOf(value)], 0);
          if (chosen.topK > 0) expect(likelier.length).toBeLessThan(chosen.topK);
          else if (chosen.topP < 1) expect(before).toBeLessThan(chosen.topP * total * (1 + 1e-9));
          expect(shares[token]).toBeGreaterThanOrEqual(chosen.minP);
        },
      ),
    );
  });
});

describe('the repetition penalty', () => {
  it('divides positive and multiplies negative scores of tokens that were seen, each once', () => {
    const logits = Float32Array.of(2, -2, 3, -3, 0);
    penalize(logits, new Set([0, 1, 4]), 2);
    expect([...logits]).toEqual([1, -4, 3, -3, 0]);
  });

  it('counts the prompt and what was chosen', () => {
    const greedy = { temperature: 0, topK: 0, topP: 1, repetitionPenalty: 2 };
    const choose = sampler(greedy, [0], new Random('sampling', 1));
    const scoresNow = () => Float32Array.of(8, 5, 4.5, 3);
    // of 8, 5, 4.5 and 3 the prompt halves the first: 5 is the largest; halved too, 4.5; then 4 of what was 8
    expect([choose(scoresNow()), choose(scoresNow()), choose(scoresNow())]).toEqual([1, 2, 0]);
  });
});
