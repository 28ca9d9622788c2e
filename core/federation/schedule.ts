/** @file The learning rate over the rounds of a run. */

/**
 * Cosine from `learningRate` in round 0 towards `minLearningRate`, constant within a round:
 * lr_t = lr_min + ½·(lr_0 − lr_min)·(1 + cos(π·t/T)), t = 0 … T − 1.
 */
export function learningRateOfRound(
  training: { learningRate: number; minLearningRate: number },
  round: number,
  rounds: number,
): number {
  const { learningRate, minLearningRate } = training;
  const share = 0.5 * (1 + Math.cos((Math.PI * round) / rounds));
  return minLearningRate + (learningRate - minLearningRate) * share;
}
