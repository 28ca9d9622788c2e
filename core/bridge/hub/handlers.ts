/** @file All that a hub's window may ask, put together. */

import { ledgerHandlers } from '../shared/ledger.ts';
import type { Handlers } from '../dispatch.ts';
import type { HubApplication } from './application.ts';
import { describeHubEntry } from './ledger-words.ts';
import { memberHandlers } from './members.ts';
import { planHandlers } from './plans.ts';
import { runHandlers } from './runs.ts';
import { statusHandlers } from './status.ts';

export function hubHandlers(application: HubApplication): Handlers {
  const { folder, hub } = application;
  return {
    ...statusHandlers(application),
    ...memberHandlers(application),
    ...planHandlers(application),
    ...runHandlers(application),
    ...ledgerHandlers({ folder, database: hub.context.store.database, describe: describeHubEntry }),
  };
}
