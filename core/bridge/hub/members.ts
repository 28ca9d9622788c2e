/** @file Sites and invitations in a hub's window. */

import qrcode from 'qrcode';
import { fingerprint, publicIdentity } from '../../federation/identity.ts';
import type { Handlers } from '../dispatch.ts';
import type { HubApplication } from './application.ts';

/** An address that opens the program of whoever is invited, with the invitation in it. */
const LINK = 'tributary://join/';

export function memberHandlers({ hub, emit }: HubApplication): Handlers {
  return {
    'hub.sites': async () => {
      const { sites } = await hub.ask('sites', {});
      const { runs } = await hub.ask('status', {});
      const open = runs.filter(({ state }) => ['proposed', 'running', 'paused'].includes(state));
      return {
        sites: sites.map((member) => ({
          ...member,
          runs: open.flatMap(({ id: run, sites: asked }) =>
            asked.filter(({ name }) => name === member.name).map((site) => ({ ...site, run })),
          ),
        })),
      };
    },
    'hub.invite': async (wanted) => {
      const { invitation, expires } = await hub.ask('invite', wanted);
      const qr = await qrImage(invitation);
      emit('changed', { what: 'invitations' });
      return {
        ...{ invitation, expires, qr, link: LINK + invitation },
        fingerprint: fingerprint(publicIdentity(hub.context.identity)),
      };
    },
    'hub.invitations': () => ({ invitations: hub.context.members.invitations() }),
    'hub.revoke': async ({ site }) => {
      await hub.ask('revoke', { site });
      return {};
    },
  };
}

/** An SVG as an address, black on white in every theme, because cameras expect it so. */
async function qrImage(text: string): Promise<string> {
  const svg = await qrcode.toString(text, { type: 'svg', errorCorrectionLevel: 'M', margin: 2 });
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
}
