/** @file Pure logic of the screens “Try it” and “Results”. */

import { describe, expect, it } from 'vitest';
import { below, folderName } from '../../renderer/screens/results/result.ts';
import { answerStates, rejectedBy, usualKeys } from '../../renderer/screens/try/answers.ts';
import type { Answer } from '../../renderer/screens/try/answers.ts';

function answer(text: string, state: Answer['state'] = 'done'): Answer {
  const variant = { variant: 'base', run: null, title: 'tiny', model: 'tiny', created: null } as const;
  return { variant, text, state, tokens: 0, speed: 0 };
}

describe('answers', () => {
  it('grow piece by piece, each by itself, and end with their figures', () => {
    const piece = (index: number, delta: string, end = false) =>
      ({
        kind: 'piece',
        piece: { index, delta, end, ...(end && { tokens: 2, tokensPerSecond: 50 }) },
      }) as const;
    let answers = [answer('', 'waiting'), answer('', 'waiting')];
    answers = answerStates(answers, piece(0, 'In '));
    answers = answerStates(answers, piece(0, 'short'));
    answers = answerStates(answers, piece(0, '', true));
    expect(answers).toMatchObject([
      { text: 'In short', state: 'done', tokens: 2, speed: 50 },
      { text: '', state: 'waiting' },
    ]);
    answers = answerStates(answerStates(answers, piece(1, 'Yes')), { kind: 'ended' });
    expect(answers.map(({ state }) => state)).toEqual(['done', 'stopped']);
  });

  it('are rejected by a vote where they are finished and say something else', () => {
    const answers = [
      answer('Yes.'),
      answer(' Yes.\n'),
      answer('No.'),
      answer('No.'),
      answer(''),
      answer('M', 'stopped'),
    ];
    expect(rejectedBy(answers, 0)).toEqual(['No.']);
    expect(rejectedBy(answers, 2)).toEqual(['Yes.']);
    expect(rejectedBy(answers, 4)).toEqual([]);
  });

  it('come from the base and the newest of each kind unless something else is chosen', () => {
    const variants = [
      { variant: 'base', run: null },
      { variant: 'local', run: 'alone-2' },
      { variant: 'federated', run: 'r2' },
      { variant: 'local', run: 'alone-1' },
    ] as const;
    expect(usualKeys(variants)).toEqual(['', 'alone-2', 'r2']);
    expect(usualKeys([])).toEqual([]);
  });
});

describe('the folder of an export', () => {
  it('has a name that every system takes', () => {
    expect(folderName({ name: 'pilot: “north/south” 2' }, 'peft')).toBe('pilot-north-south-2-peft');
    expect(folderName({ name: '出院小结' }, 'merged')).toBe('出院小结-merged');
    expect(folderName({ name: '..' }, 'peft')).toBe('adapter-peft');
  });

  it('lies below another in the way of that one', () => {
    expect(below('/home/anna/', 'x')).toBe('/home/anna/x');
    expect(below('C:\\Users\\Anna', 'x')).toBe('C:\\Users\\Anna\\x');
  });
});
