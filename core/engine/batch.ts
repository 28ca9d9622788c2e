/** @file The padded batch that an engine computes on. */

/** Label of a position that is not supervised, as in PyTorch. */
export const UNSUPERVISED = -100;

/** Rows of token ids, row-major [batch, length]. */
export interface EngineBatch {
  readonly batch: number;
  readonly length: number;
  readonly ids: Int32Array;
  /** The token at the same place where it is supervised, else {@link UNSUPERVISED}. Place 0 is never a target. */
  readonly labels: Int32Array;
  /** 1 where there is a token, 0 where there is padding. */
  readonly mask: Uint8Array;
}

/** Where each supervised token is predicted from (a flat position) and what it is. */
export function targets({ batch, length, labels, mask }: EngineBatch): { rows: number[]; labels: number[] } {
  const found = { rows: [] as number[], labels: [] as number[] };
  for (let row = 0; row < batch; row++) {
    for (let position = 1; position < length; position++) {
      const at = row * length + position;
      if (labels[at] === UNSUPERVISED || mask[at] === 0) continue;
      found.rows.push(at - 1);
      found.labels.push(labels[at]);
    }
  }
  return found;
}
