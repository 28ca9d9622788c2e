/** @file An entry of a ledger in words, by its kind and what it says of itself. */

import type { Output } from '../bridge/types.ts';
import type { Catalogue } from './en.ts';

type Entry = Output<'ledger.page'>['entries'][number];

/** The language that an entry is said in. */
export interface Words {
  readonly t: Catalogue['ledger'];
  readonly said: (sentence: string) => string;
  readonly number: (value: number) => string;
}

type Rehearsed = (rehearsal: string, site: string) => string;

export function sentenceOf(
  { kind, body }: Pick<Entry, 'kind' | 'body'>,
  { t, said, number: write }: Words,
): string {
  const say = (name: string): string => {
    const value = body[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  const number = (name: string, more = 0): string => write(Number(say(name)) + more);
  const [run, site, dataset, reason] = [say('run'), say('site'), say('dataset'), say('reason')];
  const round = number('round', 1);
  switch (kind) {
    case 'init':
      return t.init(named(t.roles, say('role')));
    case 'invite':
      return site ? t.inviteFor(site) : t.invite;
    case 'join':
      if (say('replaces')) return t.replaced(site);
      return say('federation') ? t.joinOf(site, say('federation')) : t.join(site);
    case 'revoke':
      return t.revoke(site);
    case 'rotation':
      return t.rotation;
    case 'hub-rotation':
      return t.hubRotation(say('federation'));
    case 'member-rotation':
      return site ? t.memberRotation(site) : t.keysEntered(say('federation'));
    case 'plan':
      return t.plan(run);
    case 'rehearsal': {
      const said = (t.rehearsed as Readonly<Record<string, Rehearsed | undefined>>)[say('state')];
      return said?.(say('rehearsal'), site || t.here) ?? t.rehearsal(say('rehearsal'));
    }
    case 'approval':
      if (run === '*') return t.standing(dataset);
      if (site) return t.approvalBy(run, site);
      return dataset ? t.approvalWith(run, dataset) : t.approval(run);
    case 'refusal': {
      const why = said(reason);
      return site ? t.refusalBy(run, site, why) : t.refusal(run, why);
    }
    case 'round-start':
      return t.roundStart(run, round);
    case 'update':
      return site ? t.updateTaken(run, round, site) : t.updateSent(run, round);
    case 'aggregate':
      return t.aggregate(run, round);
    case 'evaluation':
      return t.evaluation(run, round);
    case 'amendment':
      return t.amendment(run);
    case 'pause':
      return body['paused'] === true ? t.paused(run) : t.resumed(run);
    case 'countersign':
      return t.countersign(say('index'));
    case 'run-end':
      return t.runEnd(run, named(t.states, say('state')));
    case 'data-import':
      return t.dataImport(number('rows'), dataset);
    case 'data-withdrawal':
      return t.dataWithdrawal(dataset);
    default:
      return t.other(kind);
  }
}

function named(names: Readonly<Record<string, string>>, name: string): string {
  return names[name] ?? name;
}
