/** @file What the hub does with updates that are late, repeated, contradictory or bad. */

import { afterEach, describe, expect, it } from 'vitest';
import { generateIdentity, sign } from '../../core/federation/identity.ts';
import { verifyLedger } from '../../core/federation/ledger-verification.ts';
import type { MessageOf } from '../../core/federation/messages.ts';
import { approvalStatement } from '../../core/federation/statements.ts';
import type { NamedTensors } from '../../core/model/tensor.ts';
import { cleanUp, createFederation, joinSite, smallPlan, trained } from '../helpers/federation.ts';
import type { FakeSite, Script, TestFederation } from '../helpers/federation.ts';

afterEach(cleanUp);

/** Does not react to rounds by itself: the test sends its updates. */
const byHand: Script = { on: (message) => message.type !== 'round-start' };

function poisoned(base: NamedTensors): NamedTensors {
  const [[name, { shape, data }]] = base;
  return new Map(base).set(name, { shape, data: data.with(1, NaN) });
}

/** North by hand and south on its own, in the first round of a run. */
async function firstRound(): Promise<{
  federation: TestFederation;
  north: FakeSite;
  start: MessageOf<'round-start'>;
  tensors: NamedTensors;
}> {
  const federation = await createFederation();
  const north = await joinSite(federation, 'north', byHand);
  await joinSite(federation, 'south');
  await federation.propose(smallPlan({ rounds: 2 }));
  const start = await north.heardOf('round-start');
  const tensors = trained(await north.base(start), 'north', 0);
  return { federation, north, start, tensors };
}

/** Resolves with the n-th answer to an update. */
async function answer(site: FakeSite, count: number): Promise<MessageOf<'update-accepted'>> {
  const nth = (): MessageOf<'update-accepted'>[] =>
    site.heard.filter((message) => message.type === 'update-accepted');
  await site.heardOf('update-accepted', () => nth().length >= count);
  return nth()[count - 1];
}

describe('an update', () => {
  it('sent twice counts once', async () => {
    const { federation, north, start, tensors } = await firstRound();
    const message = await north.submit(start, tensors);
    north.control().send(message);
    expect(await answer(north, 1)).toMatchObject({ state: 'committed' });
    expect(await answer(north, 2)).toMatchObject({ state: 'duplicate', hash: message.blob.hash });
    const closed = await federation.event('round');
    expect(closed.cohort).toEqual(['north', 'south']);
  });

  it('that comes before its blob counts when the blob is there', async () => {
    const { north, start, tensors } = await firstRound();
    const message = await north.update(start, tensors);
    north.control().send(message);
    await north.bulk().offer(message.blob);
    expect(await answer(north, 1)).toMatchObject({ state: 'committed' });
  });

  it('of a closed round is acknowledged as late and changes nothing', async () => {
    const { federation, north, start, tensors } = await firstRound();
    await north.submit(start, tensors);
    const closed = await north.heardOf('round-closed');
    const late = await north.update(start, trained(tensors, 'north', 99));
    north.control().send(late);
    expect(await answer(north, 2)).toMatchObject({ state: 'late', hash: late.blob.hash, round: 0 });
    const status = await federation.status();
    expect(status).toMatchObject({ round: 1, phase: 'collecting' });
    const second = await north.heardOf('round-start', ({ round }) => round === 1);
    expect(second.base).toEqual(closed.aggregate);
  });

  it('of a closed round that was the one committed is a duplicate still', async () => {
    const { north, start, tensors } = await firstRound();
    const message = await north.submit(start, tensors);
    await north.heardOf('round-closed');
    north.control().send(message);
    expect(await answer(north, 2)).toMatchObject({ state: 'duplicate' });
  });

  it('that contradicts the first is refused and the first stays', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north', byHand);
    await joinSite(federation, 'south', byHand);
    await federation.propose();
    const start = await north.heardOf('round-start');
    const base = await north.base(start);
    await north.submit(start, trained(base, 'north', 0));
    await answer(north, 1);
    north.control().send(await north.update(start, trained(base, 'north', 1)));
    expect(await north.heardOf('update-refused')).toMatchObject({ code: 'update.already-committed' });
    const { sites } = await federation.status();
    expect(sites.find(({ name }) => name === 'north')).toMatchObject({ state: 'sent' });
  });
});

describe('a bad update', () => {
  it('with a NaN is refused and the site left out of the round; the run goes on', async () => {
    const federation = await createFederation();
    await joinSite(federation, 'north');
    await joinSite(federation, 'south');
    const west = await joinSite(federation, 'west', {
      train: (base, { round }) => (round === 1 ? poisoned(base) : trained(base, 'west', round)),
    });
    await federation.propose(smallPlan({ minSites: 2 }));
    await federation.event('ended', ({ state }) => state === 'completed');
    const refused = await west.heardOf('update-refused');
    expect(refused).toMatchObject({ round: 1, code: 'update.not-finite' });
    const rounds = federation.events.filter((event) => event.type === 'round');
    expect(rounds[1].cohort).toEqual(['north', 'south']);
    expect(rounds[2].cohort).toEqual(['north', 'south', 'west']);
    expect(await verifyLedger(federation.folder)).toMatchObject({ verified: true });
  });

  it('can be replaced by a good one in the same round', async () => {
    const { north, start, tensors } = await firstRound();
    await north.submit(start, poisoned(tensors));
    await north.heardOf('update-refused');
    await north.submit(start, tensors);
    expect(await answer(north, 1)).toMatchObject({ state: 'committed' });
  });

  it('is kept for another site that offers the same bytes, whatever is cleared away meanwhile', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north', byHand);
    const south = await joinSite(federation, 'south', byHand);
    await federation.propose(smallPlan({ minSites: 2 }));
    const start = await north.heardOf('round-start');
    const base = await north.base(start);
    await north.submit(start, poisoned(base));
    await north.heardOf('update-refused');
    await north.submit(start, base);
    await north.heardOf('update-accepted');

    const same = await south.update(start, poisoned(base));
    await south.bulk().offer(same.blob);
    const { run } = await federation.propose(smallPlan({ minSites: 3 }));
    await federation.hub.ask('cancel', { run });
    south.control().send(same);
    expect(await south.heardOf('update-refused')).toMatchObject({ code: 'update.not-finite' });
  });

  it('with other tensors than the base is refused', async () => {
    const { north, start, tensors } = await firstRound();
    await north.submit(start, new Map([...tensors].slice(1)));
    expect(await north.heardOf('update-refused')).toMatchObject({ code: 'update.tensor-mismatch' });
  });

  it('that claims more examples than approved is refused, and the status says why', async () => {
    const { federation, north, start, tensors } = await firstRound();
    north.control().send(await north.update(start, tensors, { examples: 11 }));
    expect(await north.heardOf('update-refused')).toMatchObject({ code: 'update.examples' });
    const { sites } = await federation.status();
    expect(sites.find(({ name }) => name === 'north')).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining('claims 11 examples but approved the plan with 10') as string,
    });
  });

  it('signed with another key is refused', async () => {
    const { north, start, tensors } = await firstRound();
    const message = await north.update(start, tensors);
    const signature = sign(generateIdentity().ed25519, approvalStatement({ run: start.run, planHash: '' }));
    north.control().send({ ...message, signature });
    expect(await north.heardOf('update-refused')).toMatchObject({ code: 'identity.bad-signature' });
  });

  it('of a run that the site takes no part in is refused', async () => {
    const { north, start, tensors } = await firstRound();
    north.control().send({ ...(await north.update(start, tensors)), run: 'another-run' });
    expect(await north.heardOf('update-refused')).toMatchObject({ code: 'update.not-approved' });
  });

  it('that is too long is not even fetched', async () => {
    const { north } = await firstRound();
    const blob = await north.blobs.put(new Uint8Array(200_000));
    await expect(north.bulk().offer(blob)).rejects.toMatchObject({ code: 'transfer.too-large' });
  });

  it('is not fetched from a site of which nothing is expected', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north');
    const blob = await north.blobs.put(new Uint8Array(10));
    await expect(north.bulk().offer(blob)).rejects.toMatchObject({ code: 'transfer.refused' });
  });
});

it('blobs that the hub does not publish cannot be fetched', async () => {
  const { federation, north, start, tensors } = await firstRound();
  await federation.event('update', ({ site }) => site === 'south');
  const other = trained(await north.base(start), 'south', 0);
  const { blob } = await north.update(start, other);
  await north.blobs.remove(blob.hash); // south's update, which the hub has
  await expect(north.bulk().fetch(blob)).rejects.toMatchObject({ code: 'transfer.refused' });
  expect(tensors.size).toBe(14);
});

describe('an approval', () => {
  it('of another plan cuts the site off and does not count', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north', { on: (message) => message.type !== 'proposal' });
    const { run } = await federation.propose();
    await north.heardOf('proposal');
    const channel = north.control();
    const planHash = 'e'.repeat(64);
    const signature = sign(north.identity.ed25519, approvalStatement({ run, planHash }));
    channel.send({ type: 'approval', run, planHash, examples: 5, signature });
    expect(await channel.closed).toMatchObject({ code: 'plan.hash-mismatch' });
    expect((await federation.status()).sites[0]).toMatchObject({ name: 'north', state: 'asked' });
  });

  it('signed by someone else does not count', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north', { on: (message) => message.type !== 'proposal' });
    const { run, planHash } = await federation.propose();
    const channel = north.control();
    const signature = sign(generateIdentity().ed25519, approvalStatement({ run, planHash }));
    channel.send({ type: 'approval', run, planHash, examples: 5, signature });
    expect(await channel.closed).toMatchObject({ code: 'identity.bad-signature' });
  });

  it('that was declined first may follow later', async () => {
    const federation = await createFederation();
    const north = await joinSite(federation, 'north', { on: (message) => message.type !== 'proposal' });
    await joinSite(federation, 'south');
    const { run, planHash } = await federation.propose();
    north.control().send({ type: 'decline', run, planHash, code: 'policy.denied', reason: 'not on Mondays' });
    await federation.event('declined');
    expect((await federation.status()).sites[0]).toMatchObject({
      state: 'declined',
      reason: 'policy.denied: not on Mondays',
    });
    const signature = sign(north.identity.ed25519, approvalStatement({ run, planHash }));
    north.control().send({ type: 'approval', run, planHash, examples: 10, signature });
    await federation.event('ended', ({ state }) => state === 'completed');
  });
});

it('a countersignature of another entry than the hub holds cuts the site off', async () => {
  const federation = await createFederation();
  const north = await joinSite(federation, 'north', { on: (message) => message.type !== 'round-closed' });
  await joinSite(federation, 'south');
  await federation.propose();
  const closed = await north.heardOf('round-closed');
  const channel = north.control();
  const signature = new Uint8Array(64);
  channel.send({ type: 'countersign', index: closed.ledgerEntry.index, hash: 'f'.repeat(64), signature });
  expect(await channel.closed).toMatchObject({ code: 'ledger.disagreement' });
});

it('a message that no site may send cuts the site off', async () => {
  const federation = await createFederation();
  const north = await joinSite(federation, 'north');
  const channel = north.control();
  channel.send({ type: 'hello', versions: [1], software: 'again', role: 'control' });
  expect(await channel.closed).toMatchObject({ code: 'wire.not-allowed' });
});
