/**
 * @file A strategy of one's own, for `tributary simulate --strategy`: FedAvg with a learning rate of the hub. It moves
 * only part of the way to the sites' mean, w ← w + η·(Σ n_k·w_k / Σ n_k − w) with η = 0.7 (Reddi et al., 2021, arXiv
 * 2003.00295, call it FedAvg with a server learning rate).
 */

import type { CustomStrategy } from '../../core/index.ts';

const rate = 0.7;

const slowAverage: CustomStrategy = {
  name: 'slow-average',
  client: 'plain',
  create: () => ({
    // Each site counts by its examples, and the hub sums how far the site has gone from where the round began.
    parts: { weights: { weighting: 'examples', of: 'differences' } },
    moments: {},
    update({ weights, parts }) {
      const { sum, totalWeight } = parts.weights;
      for (let i = 0; i < weights.length; i++) weights[i] += (rate * sum[i]) / totalWeight;
    },
  }),
};

export default slowAverage;
