import { describe, expect, it } from 'vitest';
import { likeliest, sample } from '../../core/engine/sampling.ts';
import { Random } from '../../core/random.ts';

const all = { temperature: 1, topK: 0, topP: 1 };
/** Scores of the probabilities 1/8, 1/2, 1/16, 1/4, 1/16; a shift of all changes nothing. */
const scores = Float32Array.from([1 / 8, 1 / 2, 1 / 16, 1 / 4, 1 / 16], (share) => Math.log(share) + 30);

/** How often each token is drawn in 20,000 draws. */
function frequencies(options: typeof all): number[] {
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
});
