/** @file What of an error a hub may read: sentences about the plan, never names, paths or rows of this site. */

import type { ErrorCode, TributaryError } from '../errors.ts';
import { ContractRefusal } from './contract.ts';

/** Errors whose sentences speak of the plan, of the policy's limits and of numbers alone. */
const TELLABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'plan.invalid',
  'plan.unsupported',
  'plan.hash-mismatch',
  'policy.no-approval',
  'policy.deviation',
  'policy.objective',
  'policy.mode',
  'policy.update-size',
  'policy.model',
  'policy.rounds',
  'policy.steps',
  'policy.min-sites',
  'policy.rehearsal',
  'site.data-withdrawn',
  'data.all-truncated',
  'data.wrong-kind',
  'model.context-length',
  'engine.precision-unavailable',
  'training.not-finite',
  'template.none',
]);

/** The reason that leaves this site. The whole message stays in the site's own log. */
export function reasonForHub(error: TributaryError): string {
  if (error instanceof ContractRefusal) {
    return `The rows do not fit the plan’s data contract in ${error.parts.join(', ')}.`;
  }
  const { code, message } = error;
  return TELLABLE.has(code)
    ? message
    : `This site cannot take part (${code}); its own log, site.log, says more.`;
}
