/** @file What windows say to do about an error: without the command line, and in Chinese too. */

import { expect, test } from 'vitest';
import { ERRORS, isErrorCode, TributaryError } from '../../core/errors.ts';
import { remedies } from '../../renderer/strings/zh/remedies.ts';

/** Errors of commands that no window has. */
const COMMANDS_ALONE = /^(usage|demo|simulation|task|checkpoint|backup)\.|^internal\.not-built$/;
const met = Object.keys(ERRORS)
  .filter(isErrorCode)
  .filter((code) => !COMMANDS_ALONE.test(code));

test.each(met)('%s says in a window what to do, without the command line, and in Chinese', (code) => {
  const { windowHint } = new TributaryError(code, 'It failed.');
  expect(windowHint).not.toMatch(/--\w|`tributary|INVITATION/);
  expect(windowHint).not.toBe('');
  expect(remedies[code]).toMatch(/\p{Script=Han}/u);
});

test('a hint given for the command line does not reach a window where the code has another', () => {
  const error = new TributaryError('model.not-found', 'Gone.', { hint: 'Run `tributary models fetch x`.' });
  expect(error.hint).toContain('tributary models');
  expect(error.windowHint).not.toContain('tributary');
});

test('Chinese names no code that is not in the table', () => {
  expect(Object.keys(remedies).filter((code) => !isErrorCode(code))).toEqual([]);
});
