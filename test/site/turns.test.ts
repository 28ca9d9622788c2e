/** @file One trainer for several federations: one thing at a time, in order, and nobody waits who is not wanted any more. */

import { setImmediate } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import type { RoundRequest, RoundTrainer } from '../../core/site/trainer.ts';
import { takeTurns } from '../../core/site/turns.ts';
import type { Turns } from '../../core/site/turns.ts';
import { makePlan, makeTrainer } from '../helpers/site.ts';

let begun: number[];
let ends: (() => void)[];
let turns: Turns;
beforeEach(() => {
  [begun, ends] = [[], []];
  const trainer: RoundTrainer = {
    ...makeTrainer(),
    train: ({ round, base: adapter, examples }) =>
      new Promise((resolve) => {
        begun.push(round);
        ends.push(() => resolve({ adapter, loss: 1, examples: examples.length, supervisedTokens: 1 }));
      }),
    evaluate: () => Promise.reject(new Error('no rows')),
  };
  turns = takeTurns(trainer);
});

function request(round: number, changes: Partial<RoundRequest> = {}): RoundRequest {
  return {
    ...{ plan: makePlan(), run: 'r-1', round, learningRate: 1, seedParts: [], base: new Map() },
    ...{ reference: null, controls: null, examples: [], signal: new AbortController().signal },
    onStep: () => undefined,
    ...changes,
  };
}

it('computes for one after the other and says for whom', async () => {
  const first = turns.trainerFor('north').train(request(0));
  const second = turns.trainerFor('south').train(request(1));
  await setImmediate();
  expect([begun, turns.computing()]).toEqual([[0], 'north']);
  ends[0]();
  await first;
  await setImmediate();
  expect([begun, turns.computing()]).toEqual([[0, 1], 'south']);
  ends[1]();
  await second;
  expect(turns.computing()).toBeNull();
});

it.each(['stopped', 'paused'])(
  'lets whoever is %s go at once, and the next one no sooner for it',
  async (how) => {
    const first = turns.trainerFor('north').train(request(0));
    const abort = new AbortController();
    const pausing = { folder: '', finish: abort.signal };
    const second = turns
      .trainerFor('south')
      .train(request(1, how === 'stopped' ? { signal: abort.signal } : { pausing }));
    const third = turns.trainerFor('north').train(request(2));
    abort.abort(new Error(how));
    await expect(second).rejects.toThrow(how);
    await setImmediate();
    expect(begun).toEqual([0]);
    ends[0]();
    await first;
    await setImmediate();
    expect(begun).toEqual([0, 2]);
    ends[1]();
    await third;
  },
);

it('goes on after what has failed', async () => {
  const { signal } = new AbortController();
  const held = { plan: makePlan(), adapter: new Map(), reference: null, examples: [], signal };
  await expect(turns.trainerFor('north').evaluate(held)).rejects.toThrow('no rows');
  const next = turns.trainerFor('south').train(request(3));
  await setImmediate();
  expect(begun).toEqual([3]);
  ends[0]();
  await next;
});
