/** @file A hub or a site is killed (SIGKILL) as keys are changed; both talk under the new ones in the end. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fingerprint, openIdentity, publicIdentity } from '../../core/federation/identity.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { fileSecrets } from '../../core/secrets.ts';
import { copyOf, daemon, makeTemplate, pause, removeFolders, run, tell, tellSite } from './federation.ts';
import type { Crash } from './federation.ts';

/** Far more than a busy machine needs; what hangs shows. */
const PATIENCE = 240_000;

let template: string;
beforeAll(async () => void (template = await makeTemplate(['south'])), PATIENCE);
afterAll(removeFolders);

/** What both sides say of each other's keys. */
interface Keys {
  /** Of the hub, as it says itself and as the site has pinned it. */
  readonly hub: string;
  readonly pinned: string;
  /** Of the site, as it says itself and as the hub has entered it. */
  readonly site: string;
  readonly entered: string;
  readonly connected: boolean;
}

async function keysOf(root: string): Promise<Keys> {
  const { fingerprint, sites } = await tell(join(root, 'hub'), 'sites', {});
  const status = (await tellSite(join(root, 'south'), 'status', {})) as {
    readonly state: string;
    readonly hubFingerprint: string;
    readonly siteFingerprint: string;
  };
  const [{ fingerprint: entered, connected }] = sites;
  return {
    ...{ hub: fingerprint, pinned: status.hubFingerprint, site: status.siteFingerprint, entered },
    connected: connected && status.state === 'idle',
  };
}

/** Waits until the keys before are gone, each side knows those that the other has, and they talk under them. */
async function agreed(root: string, before?: string): Promise<Keys> {
  for (;;) {
    const keys = await keysOf(root);
    const isOver = keys.hub !== before && keys.site !== before;
    if (isOver && keys.connected && keys.hub === keys.pinned && keys.site === keys.entered) return keys;
    await pause();
  }
}

/** Lets hub and site live, and die, until the work is done and all deaths are died. */
async function live(
  root: string,
  { hub, south }: Deaths,
  { before, work }: { readonly before?: string; readonly work?: () => Promise<unknown> } = {},
): Promise<Keys> {
  const daemons = [
    daemon(['hub', join(root, 'hub')], { crashes: hub }),
    daemon(['site', join(root, 'south')], { crashes: south }),
  ];
  try {
    await work?.();
    await Promise.all(daemons.map(({ crashed }) => crashed));
    return await agreed(root, before);
  } finally {
    await Promise.all(daemons.map(({ stop }) => stop()));
  }
}

/** A command to a hub that does not run, given again after it has died there. */
async function tellAlone(root: string, command: string, crash?: Crash): Promise<void> {
  const words = [command, join(root, 'hub')];
  if (crash !== undefined) expect(await run(words, crash)).toMatchObject({ died: true });
  await run(words).catch((thrown: unknown) => {
    if (!String(thrown).includes('hub.rotating')) throw thrown; // the keys had changed before the death
  });
}

async function ledgersVerify(root: string): Promise<void> {
  const [hub, south] = [join(root, 'hub'), join(root, 'south')];
  expect(await verifyLedger(south)).toMatchObject({ verified: true });
  expect(await verifyLedger(hub, { witnesses: [south] })).toMatchObject({ verified: true });
}

async function fingerprintIn(folder: string): Promise<string> {
  return fingerprint(publicIdentity(await openIdentity(fileSecrets(folder))));
}

interface Deaths {
  readonly hub?: readonly Crash[];
  readonly south?: readonly Crash[];
  /** Of the hub while it does not run. */
  readonly alone?: Crash;
}

const both = (point: string): Crash[] => [`${point}:before 1`, `${point}:after 1`];
const isLong = process.env.TRIBUTARY_LONG_TESTS !== undefined;

/** In the long tests each death has a story of its own. */
const ofSite: readonly Deaths[] = isLong
  ? [
      ...both('begin-rotation').map((crash) => ({ south: [crash] })),
      ...both('rotate-keys').map((crash) => ({ south: [crash] })),
      ...both('rotate-member').map((crash) => ({ hub: [crash] })),
    ]
  : [{ south: ['begin-rotation:after 1', 'rotate-keys:before 1'], hub: ['rotate-member:after 1'] }];

it.each(ofSite)(
  'a site changes its keys with the deaths %j',
  async (deaths) => {
    const root = copyOf(template);
    const before = await fingerprintIn(join(root, 'south'));
    const keys = await live(root, deaths, {
      before,
      work: () => tellSite(join(root, 'south'), 'rotateKeys', {}),
    });
    expect(await fingerprintIn(join(root, 'south'))).toBe(keys.site);
    await ledgersVerify(root);
  },
  PATIENCE,
);

const ofHub: readonly (Deaths & { readonly retiring?: Crash })[] = isLong
  ? [
      ...both('rotate-hub').map((crash) => ({ alone: crash })),
      ...both('pin-hub').map((crash) => ({ south: [crash] })),
      ...both('retire-keys').map((crash) => ({ retiring: crash })),
    ]
  : [{ alone: 'rotate-hub:after 1', south: ['pin-hub:before 1'], retiring: 'retire-keys:before 1' }];

it.each(ofHub)(
  'a hub changes its keys with the deaths %j',
  async ({ alone, retiring, ...deaths }) => {
    const root = copyOf(template);
    const hub = join(root, 'hub');
    const before = await fingerprintIn(hub);
    await tellAlone(root, 'rotate-hub', alone);
    const keys = await live(root, deaths, { before });
    await tellAlone(root, 'retire-keys', retiring);
    expect(readdirSync(hub).filter((name) => name.startsWith('former'))).toEqual([]);
    expect(await live(root, {})).toEqual(keys);
    await ledgersVerify(root);
  },
  PATIENCE,
);
