/** @file The one operator table. The mapped type is total: an operator without a rule does not compile. */

import { attention } from './attention.ts';
import type { Operator } from './attributes.ts';
import { decoding } from './decoding.ts';
import { elementwise } from './elementwise.ts';
import { integer } from './integer.ts';
import { layout } from './layout.ts';
import { linear } from './linear.ts';
import { mask } from './mask.ts';
import { reduction } from './reduction.ts';
import type { Rules } from './rule.ts';
import { transformer } from './transformer.ts';
import { vocabulary } from './vocabulary.ts';

export const operators: Rules<Operator> = {
  ...elementwise,
  ...linear,
  ...integer,
  ...layout,
  ...reduction,
  ...transformer,
  ...attention,
  ...mask,
  ...vocabulary,
  ...decoding,
};
