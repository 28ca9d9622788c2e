/** @file Answers about the federation: an invitation, joining, what the site does and what left this machine, leaving. */

import { fingerprint } from '../../federation/identity.ts';
import { parseInvitation } from '../../federation/invitation.ts';
import { METRIC_NAMES } from '../../federation/metrics.ts';
import { passGate } from '../../site/policy.ts';
import type { Handlers } from '../dispatch.ts';
import { refusalOf } from '../problem.ts';
import { toContract } from './application.ts';
import type { SiteApplication } from './application.ts';

export function federationHandlers(application: SiteApplication): Handlers {
  return {
    'invitation.read': ({ invitation }) => {
      const { federation, urls, hubEd25519, hubX25519, expires, site } = parseInvitation(invitation);
      return {
        federation,
        urls,
        fingerprint: fingerprint({ ed25519: hubEd25519, x25519: hubX25519 }),
        expires,
        expired: Date.now() / 1000 >= expires,
        site: site ?? null,
        refused: refusalOf(() => passGate(application.site().context.policies(), { kind: 'hub', urls })),
      };
    },
    'federation.join': async ({ invitation, name }) => {
      const {
        federation,
        site,
        fingerprint: print,
      } = await application.site().ask('join', { invitation, name });
      application.emit('changed', { what: 'stage' });
      return { federation, site, fingerprint: print };
    },
    'federation.leave': async ({ federation }) => {
      const left = await application.site().ask('leave', { federation });
      application.emit('changed', { what: 'stage' });
      return left;
    },
    'federation.rotate-keys': async () => {
      const { pending } = await application.site().ask('rotateKeys', {});
      return { pending };
    },
    'federation.status': async ({ federation }) => {
      const site = application.site();
      const { policies } = site.context;
      const status = await site.ask('status', { federation });
      const members = site.agents.get(status.number ?? 0)?.members() ?? [];
      return {
        ...toContract(status),
        members: members.map(({ site: name, joined, revoked }) => ({
          ...{ name, joined, revoked },
          self: name === status.site,
        })),
        keysPending: site.context.store.keys().pending,
        metrics: METRIC_NAMES.filter((name) => policies().every(({ metrics }) => metrics.includes(name))),
      };
    },
  };
}
