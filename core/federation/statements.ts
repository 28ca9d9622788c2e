/** @file What sites sign: the parts of each statement, spelled once for the signer and for every verifier. */

import type { Statement } from './identity.ts';

/** "I take part in this run under exactly this plan." */
export function approvalStatement(approval: { run: string; planHash: string }): Statement {
  return ['tributary approval', approval.run, approval.planHash];
}

/** "This blob is my update of this round and counts for so many examples." */
export function updateStatement(update: {
  run: string;
  round: number;
  hash: string;
  examples: number;
}): Statement {
  return ['tributary update', update.run, update.round, update.hash, update.examples];
}

/** "I have seen the hub's ledger up to this entry." */
export function countersignStatement(entry: { index: number; hash: string }): Statement {
  return ['tributary countersign', entry.index, entry.hash];
}
