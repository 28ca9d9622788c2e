/** @file The faults of a simulation: a list that a person writes or a seed draws, and that replays exactly. */

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { TributaryError } from '../../errors.ts';
import { TRANSITIONS } from '../../hub/store.ts';
import { Random } from '../../random.ts';
import { SITE_TRANSITIONS } from '../../site/store.ts';
import type { SitePoint } from '../../site/store.ts';

const at = z.number().min(0).max(100_000).describe('seconds after the run is proposed');
const seconds = z.number().positive().max(10_000).describe('how long it lasts');
const site = z.string().describe('name of the site');

/** Points in the hub's work before and after each transition that it writes. */
export const HUB_POINTS = [
  ...TRANSITIONS.flatMap((name) => [`${name}:before`, `${name}:after`] as const),
  'aggregate-written',
] as const;
export type HubPoint = (typeof HUB_POINTS)[number];

/** The same of a site. */
export const SITE_POINTS = [
  ...SITE_TRANSITIONS.flatMap((name) => [`${name}:before`, `${name}:after`] as const),
  'update-written',
] as const satisfies readonly SitePoint[];

const faultSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('hub-crash').describe('the hub dies at a point of its work, from a moment on'),
    at,
    point: z.enum(HUB_POINTS),
    passage: z.int().min(1).max(1000).default(1).describe('at which passage of that point'),
    seconds,
  }),
  z.strictObject({
    kind: z.literal('site-crash').describe('a site dies at a point of its work, from a moment on'),
    at,
    site,
    point: z.enum(SITE_POINTS),
    passage: z.int().min(1).max(1000).default(1),
    seconds,
  }),
  z.strictObject({ kind: z.literal('hub-stop').describe('the hub stops at a moment'), at, seconds }),
  z.strictObject({ kind: z.literal('site-stop').describe('a site stops at a moment'), at, site, seconds }),
  z.strictObject({ kind: z.literal('partition').describe('nothing gets through'), at, site, seconds }),
  z.strictObject({
    kind: z.literal('slow-line'),
    at,
    site,
    seconds,
    rate: z.number().positive().describe('bytes a second'),
  }),
  z.strictObject({
    kind: z.literal('delay'),
    at,
    site,
    seconds,
    milliseconds: z.number().positive().max(60_000).describe('what every message takes'),
  }),
  z.strictObject({
    kind: z.literal('clock').describe('the wall clock is set otherwise'),
    at,
    hours: z.number().min(-100_000).max(100_000),
  }),
  z.strictObject({
    kind: z.literal('chunks').describe('the next chunks of a transfer come twice, late or altered'),
    at,
    site,
    what: z.enum(['twice', 'late', 'altered']),
    count: z.int().min(1).max(1000),
  }),
  z.strictObject({
    kind: z.literal('disk-full').describe('no blob can be written, and no transaction committed'),
    at,
    where: z.string().describe('hub, or the name of a site'),
    seconds,
  }),
  z.strictObject({
    kind: z.literal('slow-site'),
    at,
    site,
    seconds,
    factor: z.number().min(1).max(10_000).describe('how much longer its steps take'),
  }),
  z.strictObject({
    kind: z.literal('garbage').describe('the next update of a site holds numbers that are not finite'),
    at,
    site,
  }),
]);
export type Fault = z.infer<typeof faultSchema>;

/** Reads a list of faults. @throws TributaryError `simulation.bad-faults` naming the field */
export async function readFaults(path: string): Promise<Fault[]> {
  const text = await readFile(path, 'utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TributaryError('simulation.bad-faults', `${path} is not JSON.`, { cause });
  }
  const read = z.array(faultSchema).max(1000).safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new TributaryError('simulation.bad-faults', `${path}: ${issue.path.join('.')} ${issue.message}.`);
}

/** Points that a run passes; the others belong to founding a federation or to a coordinator's commands. */
const RUN_POINTS = HUB_POINTS.filter(
  (point) =>
    !/^(?:init|invite|join|revoke|replace|rotate|retire|propose|rehears|end-run|lose-update)/.test(point),
);

const SITE_RUN_POINTS = SITE_POINTS.filter(
  (point) => !/^(?:join|leave|begin-rotation|rotate|pin-hub|approve-standing|rehearse|decline)/.test(point),
);

/** What faults are drawn for. */
export interface Occasion {
  readonly sites: readonly string[];
  /** Seconds into which they fall. */
  readonly span: number;
  /** Where late updates count: how much slower a site has to be for a round to take its whole deadline. */
  readonly overrun: number | null;
}

/** Draws one to six faults, and a site that is late where that matters. The same seed draws the same ones. */
export function drawFaults(seed: number, { sites, span, overrun }: Occasion): Fault[] {
  const random = new Random('faults', seed);
  const between = (low: number, high: number): number =>
    Math.round((low + (high - low) * random.uniform()) * 1000) / 1000;
  const one = <T>(items: readonly T[]): T => items[random.below(items.length)];
  const drawn = Array.from({ length: 1 + random.below(6) }, () => drawFault(between(0, span)));
  return overrun === null || random.below(3) === 0 ? drawn : [...drawn, drawLateness(overrun)];

  /** Some of these updates come within their round after all, some only after the next one. */
  function drawLateness(factor: number): Fault {
    const lasts = { at: between(0, span / 2), seconds: between(span / 2, 2 * span) };
    return { kind: 'slow-site', ...lasts, site: one(sites), factor: factor * between(0.8, 2) };
  }

  function drawFault(moment: number): Fault {
    const where = { at: moment, site: one(sites) };
    const brief = between(1, 15);
    const draws: readonly (() => Fault)[] = [
      () => ({
        kind: 'hub-crash',
        at: moment,
        point: one(RUN_POINTS),
        passage: 1 + random.below(4),
        seconds: brief,
      }),
      () => ({
        kind: 'site-crash',
        ...where,
        point: one(SITE_RUN_POINTS),
        passage: 1 + random.below(3),
        seconds: brief,
      }),
      () => ({ kind: 'hub-stop', at: moment, seconds: brief }),
      () => ({ kind: 'site-stop', ...where, seconds: brief }),
      () => ({ kind: 'partition', ...where, seconds: between(1, 60) }),
      () => ({ kind: 'slow-line', ...where, seconds: between(1, 60), rate: between(200, 20_000) }),
      () => ({ kind: 'delay', ...where, seconds: between(1, 60), milliseconds: between(100, 5000) }),
      () => ({ kind: 'clock', at: moment, hours: between(-1000, 1000) }),
      () => ({
        kind: 'chunks',
        ...where,
        what: one(['twice', 'late', 'altered']),
        count: 1 + random.below(4),
      }),
      () => ({ kind: 'disk-full', at: moment, where: one(['hub', ...sites]), seconds: brief }),
      () => ({ kind: 'slow-site', ...where, seconds: between(5, 60), factor: between(2, 50) }),
      () => ({ kind: 'garbage', ...where }),
    ];
    return one(draws)();
  }
}
