/** @file How often V8 collects memory in a hub and in a site. */

import { setFlagsFromString } from 'node:v8';

/**
 * How far the memory may grow after a collection before the next, per cent of what is in use, buffers included. V8's
 * own choice for small heaps has a hub with 20 MB in use mark all of it for every 40 MB of chunks that pass through it:
 * a third of its time, and of its sites'. Of a hub with 100 sites it costs memory, so that it is given less.
 */
const GROWTH_PERCENT = { hub: 300, site: 400 };

export function collectLessOften(of: keyof typeof GROWTH_PERCENT): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT[of]}`);
}
