/** @file All that a hub's window may ask, put together: one dispatcher over one running hub. */

import { exportLedger } from '../../federation/ledger.ts';
import type { MachineRules } from '../../folders.ts';
import type { Hub } from '../../hub/hub.ts';
import { createNetwork } from '../../network/network.ts';
import { commonHandlers } from '../common-answers.ts';
import { createDispatcher } from '../dispatch.ts';
import type { Dispatcher, Handlers } from '../dispatch.ts';
import { ledgerHandlers } from '../ledger.ts';
import type { Program } from '../program.ts';
import { openSettings } from '../settings.ts';
import { createTasks } from '../tasks.ts';
import { applicationHandlers } from './app.ts';
import type { HubApplication } from './application.ts';
import { diagnosticsHandlers } from './diagnostics.ts';
import { memberHandlers } from './members.ts';
import { planHandlers } from './plans.ts';
import { runHandlers } from './runs.ts';
import { statusHandlers, tellStatus } from './status.ts';

export interface HubWindowOptions {
  readonly folder: string;
  readonly program: Program;
  readonly hub: Hub;
  /** What the owner of the machine has set for all windows, where there is anything. */
  readonly machine?: MachineRules;
}

export interface HubWindow {
  readonly dispatcher: Dispatcher;
  /** Ends what windows have begun; the hub goes on. */
  readonly close: () => Promise<void>;
}

/** @throws TributaryError `settings.damaged` */
export function openHubWindow({ folder, program, hub, machine }: HubWindowOptions): HubWindow {
  let answers: Handlers = {};
  const dispatcher = createDispatcher(() => answers);
  const { emit } = dispatcher;
  const settings = openSettings(folder, machine?.settings);
  const tasks = createTasks(emit);
  const application: HubApplication = {
    folder,
    program,
    settings,
    tasks,
    network: createNetwork(),
    emit,
    hub,
  };
  const { store } = hub.context;
  answers = {
    ...applicationHandlers(application),
    ...commonHandlers(application),
    ...statusHandlers(application),
    ...memberHandlers(application),
    ...planHandlers(application),
    ...runHandlers(application),
    ...ledgerHandlers(() => ({
      folder,
      ledger: store.ledger,
      exportLedger: (path) => exportLedger(store.database, path),
    })),
    ...diagnosticsHandlers(application),
  };
  const stopTelling = tellStatus(application);
  return {
    dispatcher,
    close: async () => {
      stopTelling();
      await tasks.close();
    },
  };
}
