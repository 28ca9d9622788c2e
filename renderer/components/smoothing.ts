/** @file Exponential smoothing of a curve, for the eye. */

/**
 * The exponential moving average with the share `keep` of what was before, divided by the weight it has gathered
 * (Adam's bias correction), so that the beginning is not drawn towards zero. Gaps stay gaps.
 */
export function smooth(values: readonly (number | null)[], keep = 0.9): (number | null)[] {
  let average = 0;
  let weight = 0;
  return values.map((value) => {
    if (value === null) return null;
    average = keep * average + (1 - keep) * value;
    weight = keep * weight + (1 - keep);
    return average / weight;
  });
}
