/** @file Answers about the ledger of a folder, a site's or a hub's: its pages, its check, its export. */

import { verifyLedger } from '../federation/ledger-verification.ts';
import type { Ledger } from '../federation/ledger.ts';
import type { Handlers } from './dispatch.ts';

export interface LedgerSource {
  readonly folder: string;
  readonly ledger: Pick<Ledger, 'page'>;
  /** Returns the number of its entries. */
  readonly exportLedger: (path: string) => Promise<number>;
}

/** @param source looked up for each request: a folder may be blocked */
export function ledgerHandlers(source: () => LedgerSource): Handlers {
  return {
    'ledger.page': ({ before, limit }) => {
      const { total, entries } = source().ledger.page(before, limit);
      return {
        total,
        entries: entries.map(({ index, time, kind, body, hash }) => ({ index, time, kind, body, hash })),
      };
    },
    'ledger.verify': async () => {
      const { entries, verified, firstBroken } = await verifyLedger(source().folder);
      return {
        ...{ entries, verified },
        firstBroken: firstBroken?.index ?? null,
        reason: firstBroken?.reason ?? null,
      };
    },
    'ledger.export': async ({ path }) => ({ path, entries: await source().exportLedger(path) }),
  };
}
