/** @file What may be handed to somebody who helps with a hub: counts, codes and names of runs, nothing private. */

import type { Handlers } from '../dispatch.ts';
import { machineChecks, reportText } from '../machine-report.ts';
import type { Check } from '../machine-report.ts';
import type { HubApplication } from './application.ts';
import { addressProblem, hubStatus } from './status.ts';

export function diagnosticsHandlers(application: HubApplication): Handlers {
  const { folder, program } = application;
  return {
    'diagnostics.read': async () => {
      const { sites, runs } = await hubStatus(application);
      const problem = await addressProblem(application);
      const hubChecks: Check[] = [
        { name: 'sites', ok: true, says: `${sites.connected} of ${sites.members} are connected` },
        {
          name: 'invitations',
          ok: problem === null,
          says: problem === null ? 'they carry an address' : `they carry no address (${problem.code})`,
        },
      ];
      const checks = [...machineChecks(folder), ...hubChecks];
      const lines = runs.map(({ id, state, round, rounds, phase }) => {
        return `run ${id}: ${state}, ${phase}${round === null ? '' : `, round ${round + 1} of ${rounds}`}`;
      });
      return { text: reportText(program, checks, lines), checks };
    },
  };
}
