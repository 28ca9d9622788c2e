/** @file `tributary hub invite`, `sites` and `revoke`: who belongs to the federation. */

import { z } from 'zod';
import { askHub } from '../../../../core/hub/ask.ts';
import { runs } from '../../command.ts';
import { formatTable } from '../../format.ts';
import { duration } from '../../options.ts';
import { folder } from './folder.ts';
import type { AddCommand } from './folder.ts';

export function register(command: AddCommand): void {
  command('invite', 'make an invitation, which admits one site once')
    .option('--site <name>', 'name the site must take')
    .option('--replace', 'another device takes the place of the site of that name; its keys are revoked')
    .option('--expires <duration>', 'how long the invitation is valid', '7d')
    .action(invite);
  command('sites', 'the members').action(sites);
  command(
    'rotate-keys',
    'make new keys for the hub, while it is not running; sites learn of them when they come',
  )
    .option('--finish', 'answer to the keys before no more')
    .action(rotateKeys);
  command('revoke', 'end a membership').argument('<site>', 'name of the site').action(revoke);
}

const invite = runs(
  folder.extend({ site: z.string().optional(), replace: z.boolean().default(false), expires: duration }),
  async (input, { output }) => {
    const made = await askHub(input.dir, 'invite', {
      ...{ site: input.site, replace: input.replace, seconds: input.expires },
    });
    output.line(made.invitation);
    output.result(made);
  },
);

const sites = runs(folder, async ({ dir }, { output }) => {
  const answer = await askHub(dir, 'sites', {});
  const rows = answer.sites.map(({ name, connected, joined, revoked, fingerprint }) => [
    name,
    revoked === null ? (connected ? 'here' : 'away') : 'revoked',
    new Date(joined * 1000).toISOString().slice(0, 10),
    // As much of it as two people read to each other; --json has all of it.
    fingerprint.slice(0, 19),
  ]);
  for (const line of formatTable(['site', 'state', 'joined', 'fingerprint'], rows)) output.line(line);
  output.line(
    `Version ${answer.roster} of the members' list, signed by the hub ${answer.fingerprint.slice(0, 19)}.`,
  );
  output.result(answer);
});

const rotateKeys = runs(folder.extend({ finish: z.boolean().default(false) }), async (input, { output }) => {
  const answer = await askHub(input.dir, 'rotateKeys', { finish: input.finish });
  output.line(input.finish ? 'The keys before are deleted.' : 'The hub has new keys. Their fingerprint:');
  if (!input.finish) output.line(answer.fingerprint);
  output.result(answer);
});

const revoke = runs(folder.extend({ site: z.string() }), async ({ dir, site }, { output }) => {
  output.result(await askHub(dir, 'revoke', { site }));
  output.line(`${site} is no longer a member.`);
});
