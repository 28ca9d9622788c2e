/** @file pass@k: the chance that one of k sampled programs is right (Chen et al., 2021). */

/** 1 − C(n − c, k) / C(n, k) for n samples of which c are right; 1 where fewer than k are wrong. */
export function passAtK(samples: number, correct: number, k: number): number {
  if (samples - correct < k) return 1;
  let allWrong = 1;
  for (let i = samples - correct + 1; i <= samples; i++) allWrong *= 1 - k / i;
  return 1 - allWrong;
}
