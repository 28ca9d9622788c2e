/** @file A hub is copied while it runs and goes on elsewhere, to the same adapter. */

import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import { restoreHub } from '../../core/hub/backup.ts';
import type { HubEvent } from '../../core/hub/context.ts';
import {
  cleanUp,
  createFederation,
  joinSite,
  openFederation,
  smallPlan,
  temporaryFolder,
} from '../helpers/federation.ts';
import type { TestFederation } from '../helpers/federation.ts';

afterEach(cleanUp);

const plan = smallPlan({ rounds: 2, minSites: 2, strategy: { name: 'fedadam' } });

async function finalAdapter(federation: TestFederation): Promise<string> {
  if ((await federation.status()).state !== 'completed') {
    await federation.event('ended', (event) => event.state === 'completed');
  }
  const out = join(temporaryFolder(), 'adapter');
  await federation.hub.ask('export', { run: 'small-run-1', out });
  return readFileSync(join(out, 'adapter_model.safetensors')).toString('base64');
}

async function undisturbed(): Promise<string> {
  const federation = await createFederation();
  await joinSite(federation, 'north');
  await joinSite(federation, 'south');
  await federation.propose(plan);
  return finalAdapter(federation);
}

describe('a backup', () => {
  it('during a round is a hub that goes on with the same round elsewhere', async () => {
    const expected = await undisturbed();
    const federation = await createFederation();
    const { folder, hub } = federation;
    await joinSite(federation, 'north');
    let isAway = true;
    const south = await joinSite(federation, 'south', {
      on: (message) => message.type !== 'round-start' || !isAway,
    });
    await federation.propose(plan);
    await federation.event(
      'update',
      (event: Extract<HubEvent, { type: 'update' }>) => event.site === 'north',
    );

    const out = join(temporaryFolder(), 'backup');
    const made = await hub.ask('backup', { out });
    expect(made.files).toBe(readdirSync(join(out, 'blobs')).length + 4); // database, two keys, a token
    await expect(hub.ask('backup', { out })).rejects.toMatchObject({ code: 'backup.exists' });
    expect(statSync(join(out, 'x25519.pem')).mode & 0o777).toBe(0o600);
    expect(statSync(out).mode & 0o777).toBe(0o700);
    await hub.stop();
    rmSync(folder, { recursive: true }); // the machine is lost
    mkdirSync(folder);

    const elsewhere = join(temporaryFolder(), 'hub');
    await restoreHub(out, elsewhere);
    isAway = false;
    const again = await openFederation(elsewhere); // on the same port, where the sites look for it
    expect(again.hub.url).toBe(hub.url);
    await south.heardOf('round-closed');
    expect(await finalAdapter(again)).toBe(expected);
    expect(await verifyLedger(elsewhere)).toMatchObject({ verified: true });
  });

  it('that was altered makes no hub', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north');
    await federation.propose(plan);
    const whole = join(temporaryFolder(), 'backup');
    await federation.hub.ask('backup', { out: whole });
    const [blob] = readdirSync(join(whole, 'blobs'));
    const damages: ((folder: string) => void)[] = [
      (folder) => appendFileSync(join(folder, 'blobs', blob), '!'),
      (folder) => appendFileSync(join(folder, 'hub.sqlite'), '!'),
      (folder) => rmSync(join(folder, 'x25519.pem')),
      (folder) => writeFileSync(join(folder, 'backup.json'), '{}'),
    ];
    for (const damage of damages) {
      const copy = join(temporaryFolder(), 'copy');
      cpSync(whole, copy, { recursive: true });
      damage(copy);
      const target = temporaryFolder();
      await expect(restoreHub(copy, target)).rejects.toMatchObject({ code: 'backup.damaged' });
      expect(existsSync(join(target, 'hub.sqlite'))).toBe(false);
    }
    await expect(restoreHub(temporaryFolder(), temporaryFolder())).rejects.toMatchObject({
      code: 'backup.not-there',
    });
    await expect(restoreHub(whole, federation.folder)).rejects.toMatchObject({ code: 'folder.locked' });
    const full = temporaryFolder();
    writeFileSync(join(full, 'notes.txt'), 'mine');
    await expect(restoreHub(whole, full)).rejects.toMatchObject({ code: 'hub.exists' });
  });
});
