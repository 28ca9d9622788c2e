/** @file A hub at a glance: who belongs to it and where its runs stand; told to windows whenever that changes. */

import { toTributaryError } from '../../errors.ts';
import { fingerprint, publicIdentity } from '../../federation/identity.ts';
import { invitationUrls } from '../../hub/folder.ts';
import { machine } from '../../machine.ts';
import type { HubStatus } from '../contract/hub.ts';
import type { Problem } from '../contract/request.ts';
import type { Handlers } from '../dispatch.ts';
import { problemOf } from '../problem.ts';
import type { HubApplication } from './application.ts';

/** Sites come, go and train without an event; so often it is looked whether anything is different. */
const LOOK_MILLISECONDS = 1000;

export function statusHandlers(application: HubApplication): Handlers {
  return {
    'hub.status': () => hubStatus(application),
    'hub.problems': async () => {
      const problem = await addressProblem(application);
      return { problems: problem === null ? [] : [problem] };
    },
  };
}

/** The status as a window shows it. */
export async function hubStatus({ hub }: HubApplication): Promise<HubStatus> {
  const { federation, running, runs } = await hub.ask('status', {});
  const { sites } = await hub.ask('sites', {});
  const members = sites.filter(({ revoked }) => revoked === null);
  return {
    federation,
    urls: await invitationUrls(hub.context).catch(() => []),
    fingerprint: fingerprint(publicIdentity(hub.context.identity)),
    formerKeys: hub.context.former !== null,
    running,
    sites: { members: members.length, connected: members.filter(({ connected }) => connected).length },
    runs: runs.map(({ id, name, state, round, rounds, phase, reason }) => {
      return { id, name, state, round, rounds, phase, reason };
    }),
  };
}

/** Tells windows of every change of the status; returns how to stop. */
export function tellStatus(application: HubApplication): () => void {
  let told = '';
  const look = async (): Promise<void> => {
    if (!application.hub.context.store.database.open) return;
    const status = await hubStatus(application);
    const text = JSON.stringify(status);
    if (text === told) return;
    told = text;
    application.emit('status', { role: 'hub', status });
  };
  // A hub that is stopping has nothing more to tell.
  const lookAgain = (): void => void look().catch(() => undefined);
  const stopWatching = application.hub.watch(lookAgain);
  const timer = machine.startInterval(LOOK_MILLISECONDS, lookAgain);
  return () => {
    stopWatching();
    timer.cancel();
  };
}

/** Why invitations would have no address that sites can come to; null where they have one. */
export async function addressProblem({ hub }: HubApplication): Promise<Problem | null> {
  try {
    await invitationUrls(hub.context);
    return null;
  } catch (thrown) {
    return problemOf(toTributaryError(thrown));
  }
}
