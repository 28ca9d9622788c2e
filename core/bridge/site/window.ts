/** @file All that a site's window may ask, put together: one dispatcher over one folder. */

import type { MachineRules } from '../../folders.ts';
import { createNetwork } from '../../network/network.ts';
import type { NetworkSettings } from '../../network/settings.ts';
import type { Site } from '../../site/site.ts';
import { commonHandlers } from '../common-answers.ts';
import { createDispatcher } from '../dispatch.ts';
import type { Dispatcher, Handlers } from '../dispatch.ts';
import { ledgerHandlers } from '../ledger.ts';
import type { Program } from '../program.ts';
import { openSettings } from '../settings.ts';
import type { SettingsFile } from '../settings.ts';
import { createTasks } from '../tasks.ts';
import { aloneAnswers } from './alone.ts';
import { applicationHandlers } from './app.ts';
import { createSiteApplication } from './application.ts';
import type { SiteApplication } from './application.ts';
import { dataHandlers } from './data.ts';
import { diagnosticsHandlers } from './diagnostics.ts';
import { federationHandlers } from './federation.ts';
import { networkOf } from './network.ts';
import { privacyHandlers } from './privacy.ts';
import { publicDataHandlers } from './public-data.ts';
import { rehearsalHandlers } from './rehearsals.ts';
import { resultHandlers } from './results.ts';
import { runHandlers } from './runs.ts';
import { tryHandlers } from './try.ts';

export interface SiteWindowOptions {
  readonly folder: string;
  readonly program: Program;
  /** Starts the site, which stays without a federation too; its trainer may look at the settings. */
  readonly start: (settings: SettingsFile) => Promise<Site>;
  /** What the owner of the machine has set for all of its sites, where there is anything. */
  readonly machine?: MachineRules;
  /** How the settings of the network are found; default as the window's settings say. */
  readonly network?: (settings: SettingsFile) => () => NetworkSettings;
  /** What the program around the window answers beside. */
  readonly answers?: (application: SiteApplication) => Handlers;
}

export interface SiteWindow {
  readonly application: SiteApplication;
  readonly dispatcher: Dispatcher;
}

/** Opens the folder, also where it is blocked: the window says why then. @throws TributaryError `settings.damaged` */
export async function openSiteWindow({
  folder,
  program,
  start,
  machine,
  network = (settings) => () => networkOf(settings),
  answers: more,
}: SiteWindowOptions): Promise<SiteWindow> {
  let answers: Handlers = {};
  const dispatcher = createDispatcher(() => answers);
  const { emit } = dispatcher;
  const settings = openSettings(folder, machine?.settings);
  const tasks = createTasks(emit);
  const application = createSiteApplication({
    ...{ folder, program, settings, tasks, emit },
    network: createNetwork(network(settings)),
    start: () => start(settings),
  });
  const alone = aloneAnswers(application);
  answers = {
    ...applicationHandlers(application),
    ...commonHandlers(application),
    ...federationHandlers(application),
    ...dataHandlers(application),
    ...publicDataHandlers(application),
    ...runHandlers(application, alone.course),
    ...rehearsalHandlers(application),
    ...alone.handlers,
    ...tryHandlers(application),
    ...resultHandlers(application),
    ...privacyHandlers(application, machine?.policy),
    ...ledgerHandlers(() => {
      const { ledger, exportLedger } = application.site().context.store;
      return { folder, ledger, exportLedger };
    }),
    ...diagnosticsHandlers(application),
    ...more?.(application),
  };
  await application.open();
  return { application, dispatcher };
}
