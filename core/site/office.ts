/**
 * @file What one may ask of a site on its own machine, as one table. The same rows run in the process of
 * `site start`, through its control socket, and directly while the site is not running.
 */

import { join } from 'node:path';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { parseInvitation } from '../federation/invitation.ts';
import { approveAmendment, awaitsAmendment } from './amendments.ts';
import { chooseFederation, federationOfRun, federationsOf } from './choice.ts';
import { DATA_OFFICE } from './data-office.ts';
import { leaveFederation, POLICY_FILE } from './folder.ts';
import { networkShape } from '../network/settings.ts';
import { row } from './office-row.ts';
import type { Officeholder, Row } from './office-row.ts';
import { joinFederation } from './join.ts';
import { passGate, policyShape, readPolicy, writePolicy } from './policy.ts';
import { nameOfReference } from '../vault/vault.ts';
import { requireTrained } from './preview.ts';
import { approveRun, approveStanding } from './proposals.ts';
import { beginRotation, rotateAlone, rotateRunning } from './rotation.ts';
import { approveRehearsal } from './rehearsals.ts';
import { siteStatus } from './status.ts';
import { stopRun } from './stops.ts';

const nothing = z.object({});
/** The name of a federation, where there are several to choose from. */
const federation = z.string().optional();

export const OFFICE = {
  status: row(z.object({ federation }), (holder, { federation: name }) =>
    siteStatus({
      ...holder,
      ...(name !== undefined && { federation: chooseFederation(holder, name).context }),
    }),
  ),

  join: row(
    z.object({
      invitation: z.string(),
      name: z.string().optional(),
      /** What lies in between, where it is not as the site's settings say. */
      network: networkShape.partial().optional(),
    }),
    async ({ context, software, changing }, { invitation, name, network: changes = {} }) => {
      passGate(context.policies(), { kind: 'hub', urls: parseInvitation(invitation).urls });
      const joined = await joinFederation({
        ...{ invitation, name, software },
        context: { ...context, network: context.network.with(changes) },
      });
      await changing?.joined(joined.federation);
      return joined;
    },
  ),

  leave: row(z.object({ federation }), async (holder, { federation: name }) => {
    const { changing } = holder;
    const { context } = chooseFederation(holder, name);
    if (changing?.mayBeAlone === false && holder.context.federations.size === 1)
      throw new TributaryError('folder.locked', 'The site is running.');
    await changing?.leaving(context);
    await leaveFederation(context);
    return { federation: context.name };
  }),

  rotateKeys: row(nothing, async (holder) => {
    const { context: site, software } = holder;
    const all = federationsOf(holder);
    if (all.length === 0) throw new TributaryError('site.not-joined', 'The site belongs to no federation.');
    await beginRotation(site);
    // One hub that is away keeps no other from entering the keys.
    const done = await Promise.allSettled(
      all.map(({ context, agent }) =>
        agent === null ? rotateAlone(context, software) : rotateRunning(context, agent),
      ),
    );
    for (const each of done) if (each.status === 'rejected') throw each.reason;
    return { pending: site.store.keys().pending };
  }),

  ...DATA_OFFICE,

  approve: row(
    z.object({
      run: z.string().optional(),
      standing: z.boolean().optional(),
      dataset: z.string(),
      federation,
    }),
    async (holder, { run, standing, dataset, federation: asked }) => {
      if ((run === undefined) === (standing !== true)) {
        throw new TributaryError('usage.invalid', 'Approve either one run or, standing, every plan.');
      }
      if (run === undefined) {
        const { context, agent } = chooseFederation(holder, asked);
        const { policies, vault } = context;
        const { name, rows: examples } = vault.dataset(dataset);
        passGate(policies(), { kind: 'dataset', dataset: name, examples });
        approveStanding(context, dataset);
        agent?.reconsider();
        return { planHash: null };
      }
      const { context, agent } = federationOfRun(holder, run, asked);
      const rehearsal = agent?.rehearsals().find((waiting) => waiting.rehearsal === run);
      if (rehearsal !== undefined) {
        approveRehearsal(context, rehearsal, dataset);
        agent?.reconsider();
        return { planHash: rehearsal.planHash };
      }
      const known = context.store.run(run);
      if (known !== null && awaitsAmendment(known)) {
        const approved = known.dataset ?? '';
        if (dataset !== approved && dataset !== nameOfReference(approved)) {
          const what = `${run} trains on ${known.dataset}; more rounds of it are approved with the same dataset.`;
          throw new TributaryError('usage.invalid', what);
        }
        approveAmendment(context, known);
        agent?.reconsider(run);
        return { planHash: known.amendment_hash };
      }
      if (known !== null) await requireTrained(context, known, dataset);
      approveRun(context, run, dataset);
      agent?.reconsider(run);
      return { planHash: context.store.run(run)?.plan_hash ?? null };
    },
  ),

  stopRun: row(
    z.object({
      run: z.string(),
      how: z.enum(['finish-round', 'save', 'discard', 'decline']),
      reason: z.string().max(500).optional(),
      federation,
    }),
    (holder, { run, how, reason, federation: asked }) => {
      const { context, agent } = federationOfRun(holder, run, asked);
      if (how === 'decline' && agent?.rehearsals().some(({ rehearsal }) => rehearsal === run)) {
        agent.declineRehearsal(run, reason ?? '');
        return { run, how };
      }
      const answer = stopRun(context, { run, how, reason });
      if (answer !== null) agent?.interrupt(run, answer);
      return { run, how };
    },
  ),

  resumeRun: row(z.object({ run: z.string(), federation }), (holder, { run, federation: asked }) => {
    const { context, agent } = federationOfRun(holder, run, asked);
    const known = context.store.run(run);
    if (known === null || known.dataset === null) {
      throw new TributaryError('site.unknown-run', `The run ${run} was not approved here yet.`);
    }
    approveRun(context, run, known.dataset);
    agent?.reconsider(run);
    return { run };
  }),

  policy: row(z.object({ set: z.unknown().optional() }), async (holder, { set }) => {
    const { context } = holder;
    const path = join(context.folder, POLICY_FILE);
    if (set !== undefined) {
      const parsed = policyShape.safeParse(set);
      if (!parsed.success) {
        throw new TributaryError('policy.invalid', `The policy is wrong: ${z.prettifyError(parsed.error)}`);
      }
      await writePolicy(path, parsed.data);
      for (const { agent } of federationsOf(holder)) agent?.reconsider();
    }
    return { policy: readPolicy(path), path };
  }),

  ledger: row(z.object({ out: z.string() }), async ({ context }, { out }) => ({
    entries: await context.store.exportLedger(out),
    out,
  })),

  stop: row(nothing, ({ agents, stop }) => {
    stop();
    return { stopped: agents !== null };
  }),
};

export type OfficeCommand = keyof typeof OFFICE;
export type OfficeRequest<C extends OfficeCommand> = z.input<(typeof OFFICE)[C]['request']>;
export type OfficeResult<C extends OfficeCommand> = Awaited<ReturnType<(typeof OFFICE)[C]['answer']>>;

/** Answers one question. Throws `usage.invalid` for a malformed one and whatever the row throws. */
export function answerOffice(holder: Officeholder, command: OfficeCommand, request: unknown): unknown {
  const { request: shape, answer }: Row<z.ZodType, unknown> = OFFICE[command];
  const parsed = shape.safeParse(request);
  if (parsed.success) return answer(holder, parsed.data);
  const [issue] = parsed.error.issues;
  throw new TributaryError('usage.invalid', `${command}: ${issue.path.join('.')} ${issue.message}.`);
}
