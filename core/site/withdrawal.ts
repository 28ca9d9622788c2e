/**
 * @file Withdrawing a dataset: its rows are deleted and what would train on them ends. What has learned from them is
 * named; nobody can take it out of an adapter.
 */

import { existsSync } from 'node:fs';
import { TributaryError } from '../errors.ts';
import { nameOfReference } from '../vault/vault.ts';
import type { Dataset } from '../vault/vault.ts';
import type { Agent } from './agent.ts';
import type { SiteContext } from './context.ts';
import { declineRun } from './proposals.ts';
import { nameOfRun } from './run-names.ts';
import { adapterFolder } from './saved-adapters.ts';

/** A run of which an update has learned from the rows, and with it the hub's adapter. */
export interface TaughtAdapter {
  readonly run: string;
  /** Folder of it at this site; null where there is none. */
  readonly path: string | null;
}

export interface Withdrawal {
  /** Versions that are deleted. */
  readonly versions: readonly Dataset[];
  readonly rows: number;
  /** Runs that wait for it or train on it; they end at this site. */
  readonly runs: readonly string[];
  readonly adapters: readonly TaughtAdapter[];
  /** Whether every plan within the policy could use it. */
  readonly standing: boolean;
  /** For people: what is deleted, what ends and what stays. */
  readonly sentences: readonly string[];
}

/** What withdrawing all versions of a dataset would do. Throws `vault.unknown-dataset`. */
export function planWithdrawal(site: SiteContext, name: string): Withdrawal {
  const { folder, store, vault } = site;
  const dataset = vault.dataset(name).name;
  const versions = vault.datasets({ allVersions: true }).filter((version) => version.name === dataset);
  const isOf = (reference: string | null) => reference !== null && nameOfReference(reference) === dataset;
  const federations = [...site.federations.values()];
  const taught = versions.flatMap((version) => store.runsTaughtBy(version));
  const names = new Set(taught.map(({ federation, run }) => nameOfRun(federation, run)));
  const adapters = [...names].map((run) => {
    const path = adapterFolder(folder, run);
    return { run, path: existsSync(path) ? path : null };
  });
  const rows = versions.reduce((sum, version) => sum + version.rows, 0);
  const plan = {
    versions,
    rows,
    runs: trainingOn(site, dataset).map(({ federation, run }) => nameOfRun(federation.number, run)),
    adapters,
    standing: federations.some((federation) => isOf(federation.store.approvedDataset('*'))),
  };
  return { ...plan, sentences: sentencesOf(dataset, plan) };
}

/**
 * Withdraws all versions of a dataset. It is entered in the ledger before the rows are deleted; should the program die
 * between, they are deleted when the folder is opened again. Throws `vault.unknown-dataset`.
 */
export function withdrawDataset(
  site: SiteContext,
  agents: ReadonlyMap<number, Agent> | null,
  name: string,
): Withdrawal {
  const { store, vault } = site;
  const plan = planWithdrawal(site, name);
  const [{ name: dataset }] = plan.versions;
  for (const { federation, run, planHash } of trainingOn(site, dataset)) {
    const reason = new TributaryError('site.data-withdrawn', 'This site has withdrawn the rows of this run.');
    const answer = declineRun(federation, { run, planHash, withdraw: true }, reason);
    agents?.get(federation.number)?.interrupt(run, answer);
  }
  store.transaction('withdraw-data', () => {
    for (const { id, reference, rows } of plan.versions)
      store.ledger.append('data-withdrawal', { id, dataset: reference, rows, runs: [...plan.runs] });
    store.forgetApprovals(dataset);
  });
  vault.remove(dataset);
  return plan;
}

/** Approved runs of any federation that use a version of a dataset. */
function trainingOn({ federations }: SiteContext, dataset: string) {
  return [...federations.values()].flatMap((federation) =>
    federation.store
      .runs()
      .filter((run) => run.state === 'approved' && nameOfReference(run.dataset ?? '') === dataset)
      .map(({ run, plan_hash: planHash }) => ({ federation, run, planHash })),
  );
}

function sentencesOf(name: string, plan: Omit<Withdrawal, 'sentences'>): string[] {
  const { versions, rows, runs, adapters, standing } = plan;
  const all = versions.length > 1 ? `, all ${versions.length} versions` : '';
  const here = adapters.filter(({ path }) => path !== null).map(({ run }) => run);
  return [
    `The ${rows} rows of ${name} in this machine’s vault are deleted and overwritten${all}. The file that they came from is not touched.`,
    ...(runs.length > 0 ? [`These runs end at this site: ${runs.join(', ')}.`] : []),
    ...(standing ? ['The approval of every plan within the policy ends with it.'] : []),
    ...(adapters.length === 0 ? ['No adapter has learned from it.'] : []),
    ...(here.length > 0
      ? [`Adapters on this machine have learned from it and stay until they are deleted: ${here.join(', ')}.`]
      : []),
    ...(adapters.length > 0
      ? [
          `The hub’s adapters of ${adapters.map(({ run }) => run).join(', ')} have learned from it too; that cannot be taken back.`,
        ]
      : []),
  ];
}
