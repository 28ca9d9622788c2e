/** @file Which of a site's federations a question is about. */

import { TributaryError } from '../errors.ts';
import type { Agent } from './agent.ts';
import type { FederationContext } from './context.ts';
import type { Officeholder } from './office-row.ts';

/** A federation of the site with what works for it while the site runs. */
export interface Chosen {
  readonly context: FederationContext;
  readonly agent: Agent | null;
}

type Holder = Pick<Officeholder, 'context' | 'agents'>;

export function federationsOf({ context: { federations }, agents }: Holder): Chosen[] {
  return [...federations.values()].map((context) => ({
    context,
    agent: agents?.get(context.number) ?? null,
  }));
}

/**
 * The federation of this name, or the only one.
 * @throws TributaryError `site.not-joined`, `site.unknown-federation`, `site.several-federations`
 */
export function chooseFederation(holder: Holder, name: string | undefined): Chosen {
  return only(candidates(holder, name));
}

/**
 * The federation that a run is of, or the only one there is.
 * @throws TributaryError `site.unknown-run`, and as `chooseFederation` does
 */
export function federationOfRun(holder: Holder, run: string, name: string | undefined): Chosen {
  const asked = candidates(holder, name);
  const knowing = asked.filter(({ context: { store }, agent }) => {
    const isRehearsal = agent?.rehearsals().some(({ rehearsal }) => rehearsal === run) ?? false;
    return store.run(run) !== null || isRehearsal;
  });
  if (knowing.length > 0) return only(knowing, `The run ${run} is one of `);
  if (asked.length === 1) return asked[0];
  throw new TributaryError('site.unknown-run', `The run ${run} is not known here.`);
}

function candidates(holder: Holder, name: string | undefined): Chosen[] {
  const all = federationsOf(holder);
  if (all.length === 0) throw new TributaryError('site.not-joined', 'The site belongs to no federation.');
  const asked = name === undefined ? all : all.filter(({ context }) => context.name === name);
  if (asked.length > 0) return asked;
  throw new TributaryError(
    'site.unknown-federation',
    `This site is no member of ${name}; its federations are ${namesOf(all)}.`,
  );
}

function only(found: readonly Chosen[], what = 'This site is a member of '): Chosen {
  if (found.length === 1) return found[0];
  throw new TributaryError('site.several-federations', `${what}several federations: ${namesOf(found)}.`);
}

function namesOf(found: readonly Chosen[]): string {
  return found.map(({ context }) => context.name).join(', ');
}
