/** @file Answers about the ledger of a folder, a site's or a hub's: its pages in words, its check, its export. */

import { z } from 'zod';
import { verifyLedger } from '../federation/ledger-verification.ts';
import type { Ledger, LedgerEntry } from '../federation/ledger.ts';
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
        entries: entries.map(({ index, time, kind, body, hash }) => ({
          ...{ index, time, kind, body, hash },
          sentence: sentenceOf({ kind, body }),
        })),
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

const text = z.union([z.string(), z.number()]).transform(String).catch('');

/** An entry in words. What a kind does not say of itself is in its body. */
function sentenceOf({ kind, body }: Pick<LedgerEntry, 'kind' | 'body'>): string {
  const say = (name: string): string => text.parse(body[name]);
  const round = Number(say('round')) + 1;
  switch (kind) {
    case 'init':
      return `This ledger begins; it belongs to a ${say('role')}.`;
    case 'invite':
      return `An invitation was made${say('site') && ` for ${say('site')}`}.`;
    case 'join':
      if (say('replaces')) return `Another device took the place of ${say('site')}.`;
      return say('federation') ? `${say('site')} joined ${say('federation')}.` : `${say('site')} joined.`;
    case 'revoke':
      return `The membership of ${say('site')} was ended.`;
    case 'rotation':
      return 'The keys of this ledger’s owner were changed.';
    case 'member-rotation':
      return `The keys of ${say('site')} were changed.`;
    case 'plan':
      return `The plan of ${say('run')} was recorded.`;
    case 'rehearsal':
      return `${say('rehearsal')} was ${say('state') || 'asked for'}${say('site') && ` by ${say('site')}`}.`;
    case 'approval':
      return say('run') === '*'
        ? `Every plan within the policy was approved with ${say('dataset')}.`
        : `${say('run')} was approved${say('dataset') && ` with ${say('dataset')}`}${say('site') && ` by ${say('site')}`}.`;
    case 'refusal':
      return `${say('run')} was refused${say('site') && ` by ${say('site')}`}: ${say('reason')}`;
    case 'round-start':
      return `Round ${round} of ${say('run')} began.`;
    case 'update':
      return `An update of round ${round} of ${say('run')} was ${say('site') ? `taken from ${say('site')}` : 'sent'}.`;
    case 'aggregate':
      return `Round ${round} of ${say('run')} was averaged.`;
    case 'evaluation':
      return `Round ${round} of ${say('run')} was scored.`;
    case 'amendment':
      return `More rounds of ${say('run')} were proposed.`;
    case 'pause':
      return `${say('run')} was paused or went on.`;
    case 'countersign':
      return `Entry ${say('index')} of the hub’s ledger was countersigned.`;
    case 'run-end':
      return `${say('run')} ended: ${say('state')}.`;
    case 'data-import':
      return `${say('rows')} rows were imported as ${say('dataset')}.`;
    case 'data-withdrawal':
      return `${say('dataset')} was withdrawn and its rows deleted.`;
  }
}
