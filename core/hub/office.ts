/**
 * @file What one may ask of a hub on its own machine, as one table. The same rows run in the process of
 * `hub start`, through its control socket, and directly while no hub is running.
 */

import { resolve } from 'node:path';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { modelIdentitySchema, pinPlan, planRequestSchema } from '../federation/plan.ts';
import type { Plan } from '../federation/plan.ts';
import { exportLedger } from '../federation/ledger.ts';
import { fingerprint, publicIdentity } from '../federation/identity.ts';
import { siteNameShape } from '../federation/shapes.ts';
import { hubUrlShape } from '../federation/invitation.ts';
import { configurationSchema } from '../model/catalogue.ts';
import { backupHub } from './backup.ts';
import type { HubContext } from './context.ts';
import { exportAdapter } from './export.ts';
import { reportOf } from './forecast.ts';
import type { UptimeClock } from './uptime.ts';
import { propose } from './proposals.ts';
import { rehearse, requireRehearsal } from './rehearsals.ts';
import { retireFormerKeys, rotateHubKeys } from './rotation.ts';
import { extendRun, pauseRun, resumeRun } from './run-control.ts';
import { findStart } from './start.ts';
import { endRun } from './steps.ts';
import { runStatuses } from './status.ts';
import type { RunStatus } from './status.ts';

/** A hub that can be asked: its parts, and what only a running one has. */
export interface Officeholder {
  readonly hub: HubContext;
  readonly clock: UptimeClock;
  /** Whether sites can connect to it. */
  readonly running: boolean;
  /** Addresses that invitations carry. */
  readonly urls: () => Promise<string[]>;
  /** Looks whether something can go on now. */
  readonly advance: () => Promise<void>;
  /** Begins to stop a running hub. */
  readonly stop: () => void;
}

interface Row<Request extends z.ZodType, Result> {
  readonly request: Request;
  readonly answer: (holder: Officeholder, request: z.infer<Request>) => Result | Promise<Result>;
}

const row = <Request extends z.ZodType, Result>(
  request: Request,
  answer: Row<Request, Result>['answer'],
): Row<Request, Result> => ({ request, answer });

export interface SiteSummary {
  readonly name: string;
  readonly connected: boolean;
  /** Unix seconds. */
  readonly joined: number;
  readonly revoked: number | null;
  /** Of its keys in the signed roster, to compare with what the site says of itself. */
  readonly fingerprint: string;
}

const nothing = z.object({});
const oneRun = z.object({ run: z.string() });
const proposal = z.object({
  plan: planRequestSchema,
  model: modelIdentitySchema,
  configuration: configurationSchema,
  /** PEFT folder that round 0 starts from. */
  start: z.string().optional(),
});

/** The plan with its model and its start by their hashes. Throws what `findStart` throws. */
async function pinned(
  hub: HubContext,
  { plan, model, configuration, start: folder }: z.infer<typeof proposal>,
): Promise<Plan> {
  const start = await findStart(hub, { plan, model, configuration, folder });
  return pinPlan(plan, model, start ?? undefined);
}

export const OFFICE = {
  invite: row(
    z.object({
      site: siteNameShape.optional(),
      /** Another device takes the place of that member's. */
      replace: z.boolean().default(false),
      seconds: z.number().positive().max(31_536_000).default(604_800),
    }),
    async ({ hub, urls }, { site, seconds, replace }) => ({
      invitation: hub.members.invite({ urls: await urls(), seconds, site, replace }),
      expires: hub.now() + Math.round(seconds),
    }),
  ),

  propose: row(proposal, async ({ hub, advance }, request) => {
    const { configuration } = request;
    const result = await hub.inTurn(async () => propose(hub, await pinned(hub, request), configuration));
    await advance();
    return result;
  }),

  rehearse: row(proposal, ({ hub, running }, request) => {
    if (!running)
      throw new TributaryError(
        'folder.not-running',
        'A rehearsal needs the sites, and the hub is not running.',
      );
    return hub.inTurn(async () => rehearse(hub, await pinned(hub, request), request.configuration));
  }),

  rehearsal: row(z.object({ rehearsal: z.string() }), ({ hub }, { rehearsal }) =>
    reportOf(hub, requireRehearsal(hub, rehearsal)),
  ),

  rotateKeys: row(z.object({ finish: z.boolean().default(false) }), async ({ hub, running }, { finish }) => {
    if (running)
      throw new TributaryError('folder.locked', 'The hub is running; its keys change while it is not.');
    if (!finish) return rotateHubKeys(hub);
    await retireFormerKeys(hub);
    return { fingerprint: fingerprint(publicIdentity(hub.identity)) };
  }),

  status: row(nothing, ({ hub, clock, running }) => ({
    federation: hub.store.setting('federation') ?? '',
    running,
    runs: runStatuses(hub, clock),
  })),

  sites: row(nothing, ({ hub }) => ({
    /** Of the hub, as sites have it from their invitations. */
    fingerprint: fingerprint(publicIdentity(hub.identity)),
    /** How often the signed roster has changed. */
    roster: hub.members.roster().version,
    sites: hub.members.all().map(({ site, joined, revoked, ...keys }): SiteSummary => ({
      name: site,
      fingerprint: fingerprint(keys),
      connected: hub.outbox.presence(site).connected,
      joined,
      revoked,
    })),
  })),

  runs: row(nothing, ({ hub, clock }) => ({
    runs: runStatuses(hub, clock).map(({ id, name, state, planHash, round, rounds }) => ({
      id,
      name,
      state,
      planHash,
      round,
      rounds,
    })),
  })),

  revoke: row(z.object({ site: siteNameShape }), async ({ hub, advance }, { site }) => {
    await hub.inTurn(() => hub.members.revoke(site));
    hub.outbox.disconnect(site, 'site.revoked');
    await advance();
    return { site };
  }),

  cancel: row(
    oneRun.extend({ reason: z.string().max(500).default('cancelled by the coordinator') }),
    async ({ hub }, { run, reason }) => {
      await hub.inTurn(async () => {
        const record = requireRun(hub, run);
        if (record.state !== 'proposed' && record.state !== 'running') {
          throw new TributaryError('run.not-open', `${run} is ${record.state} already.`);
        }
        await endRun(hub, record, { state: 'cancelled', reason });
      });
      return { run };
    },
  ),

  pause: row(
    oneRun.extend({ reason: z.string().max(500).default('paused by the coordinator') }),
    async ({ hub, advance }, { run, reason }) => {
      const paused = await hub.inTurn(() => pauseRun(hub, requireRun(hub, run), reason));
      await advance();
      return { run, ...paused };
    },
  ),

  resume: row(oneRun, async ({ hub, advance }, { run }) => {
    await hub.inTurn(() => resumeRun(hub, requireRun(hub, run)));
    await advance();
    return { run };
  }),

  extend: row(
    oneRun
      .extend({
        rounds: z.int().min(1).max(1_000_000).optional(),
        deadline: z.number().min(1).max(2_592_000).optional(),
      })
      .refine(({ rounds, deadline }) => rounds !== undefined || deadline !== undefined, 'asks for nothing'),
    async ({ hub, advance }, { run, ...extension }) => {
      const { planHash } = await hub.inTurn(() => extendRun(hub, requireRun(hub, run), extension));
      await advance();
      return { run, planHash };
    },
  ),

  export: row(
    oneRun.extend({
      out: z.string(),
      round: z.union([z.enum(['best', 'last']), z.int().min(1)]).optional(),
    }),
    async ({ hub }, { run, out, round: wanted }) => {
      const folder = resolve(out);
      const round = await exportAdapter(hub, { run: requireRun(hub, run), round: wanted, folder });
      return { adapter: folder, round };
    },
  ),

  backup: row(z.object({ out: z.string() }), ({ hub }, { out }) => backupHub(hub, resolve(out))),
  ledger: row(z.object({ out: z.string() }), async ({ hub }, { out }) => {
    const file = resolve(out);
    return { file, entries: await exportLedger(hub.store.database, file) };
  }),

  urls: row(z.object({ urls: z.array(hubUrlShape).min(1).max(8) }), ({ hub }, { urls }) => {
    hub.store.setSetting('urls', JSON.stringify(urls));
    return { urls };
  }),

  stop: row(nothing, ({ stop, running }) => {
    stop();
    return { stopped: running };
  }),
};

export type OfficeCommand = keyof typeof OFFICE;
export type OfficeRequest<C extends OfficeCommand> = z.input<(typeof OFFICE)[C]['request']>;
export type OfficeResult<C extends OfficeCommand> = Awaited<ReturnType<(typeof OFFICE)[C]['answer']>>;
export type { RunStatus };

function requireRun(hub: HubContext, id: string) {
  const run = hub.runs.run(id);
  if (run === null) throw new TributaryError('run.unknown', `The hub has no run ${id}.`);
  return run;
}

/** Asks for a command of the table; its request and result are those of its row. */
export type Ask = <C extends OfficeCommand>(
  command: C,
  request: OfficeRequest<C>,
) => Promise<OfficeResult<C>>;

/** Runs a row after checking its request. Throws `usage.invalid`. */
export async function answerOffice(
  holder: Officeholder,
  command: OfficeCommand,
  request: unknown,
): Promise<unknown> {
  const { request: schema, answer }: Row<z.ZodType, unknown> = OFFICE[command];
  const parsed = schema.safeParse(request);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new TributaryError('usage.invalid', `${command}: ${issue.path.join('.')} ${issue.message}.`);
  }
  return await answer(holder, parsed.data);
}
