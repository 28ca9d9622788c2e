/** @file What happens in a hub, as a sentence. */

import type { Metrics } from '../../../../core/federation/metrics.ts';
import type { HubEvent } from '../../../../core/hub/context.ts';
import { formatBytes } from '../../../../core/sizes.ts';
import { formatSeconds } from '../../format.ts';

/** One line for a person. */
export function describeEvent(event: HubEvent): string {
  switch (event.type) {
    case 'listening':
      return `Listening on ${event.url}`;
    case 'joined':
      return `${event.site} has joined the federation.`;
    case 'connected':
      return `${event.site} is here.`;
    case 'disconnected':
      return `${event.site} has gone: ${event.reason}`;
    case 'proposed':
      return `${event.run} is proposed.`;
    case 'started':
      return `${event.run} has started.`;
    case 'approved':
      return `${event.site} takes part in ${event.run} with ${event.examples} examples.`;
    case 'rehearsed':
      return `${event.rehearsal}: ${event.site} is ${event.state}${event.reason && `: ${event.reason}`}.`;
    case 'declined':
      return `${event.site} declines ${event.run}: ${event.reason}`;
    case 'excluded':
      return `${event.site} is excluded from ${event.run}: ${event.reason}`;
    case 'paused':
      return `${event.run} is paused ${event.begun ? 'after the round under way' : 'before its first round'}: ${event.reason}`;
    case 'resumed':
      return `${event.run} goes on.`;
    case 'extended':
      return `${event.run} is extended.`;
    case 'scored':
      return `${event.run}, round ${event.round + 1}: ${describeScore(event.metrics, event.examples)} at ${event.sites.join(', ') || 'no site'}.`;
    case 'update':
      return `${event.run}, round ${event.round + 1}: the update of ${event.site} is in.`;
    case 'refused':
      return `${event.run}, round ${event.round + 1}: the update of ${event.site} was refused: ${event.reason}`;
    case 'round':
      return (
        `${event.run}, round ${event.round + 1} is closed: loss ${event.loss.toFixed(4)} at ` +
        `${event.cohort.join(', ')}${describeMetrics(event.metrics)}; ${formatBytes(event.bytesUp)} up, ${formatBytes(event.bytesDown)} down, ` +
        `${formatSeconds(event.seconds)}.`
      );
    case 'ended':
      return `${event.run} is ${event.state}${event.reason && `: ${event.reason}`}.`;
  }
}

/** How far pairs are told apart, where a round has trained on them. */
function describeMetrics({ preferenceAccuracy, preferenceMargin }: Metrics): string {
  if (preferenceAccuracy === undefined || preferenceMargin === undefined) return '';
  return `, preference accuracy ${preferenceAccuracy.toFixed(3)}, margin ${preferenceMargin.toFixed(3)}`;
}

function describeScore({ heldOutLoss, heldOutAccuracy }: Metrics, examples: number): string {
  if (heldOutLoss === undefined) return 'no held-out loss was told';
  const accuracy = heldOutAccuracy === undefined ? '' : `, accuracy ${heldOutAccuracy.toFixed(3)}`;
  return `held-out loss ${heldOutLoss.toFixed(4)}${accuracy} on ${examples} rows`;
}
