/** @file Files that belong together are all written or none; where nothing can be written shows beforehand. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toTributaryError } from '../core/errors.ts';
import { makeWritableFolder, writeFilesAtomically } from '../core/files.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'tributary-files-'))));
afterEach(() => rmSync(folder, { recursive: true }));

describe('files that belong together', () => {
  it('replace the old ones', async () => {
    writeFileSync(join(folder, 'a'), 'old');
    await writeFilesAtomically(folder, { a: 'new', b: 'too' });
    expect(readdirSync(folder).sort()).toEqual(['a', 'b']);
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('new');
    expect(statSync(join(folder, 'b')).mode & 0o777).toBe(0o600);
  });

  it('may come in parts', async () => {
    const parts = function* () {
      yield new Uint8Array([97]);
      yield new Uint8Array();
      yield new Uint8Array(100_000).fill(98);
    };
    await writeFilesAtomically(folder, { a: parts() });
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe(`a${'b'.repeat(100_000)}`);
  });

  it('stay as they were when one of the new ones cannot be written', async () => {
    writeFileSync(join(folder, 'a'), 'old');
    await expect(writeFilesAtomically(folder, { a: 'new', 'none/b': 'too' })).rejects.toThrow('ENOENT');
    expect(readdirSync(folder)).toEqual(['a']);
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('old');
  });
});

describe('a folder to write to', () => {
  it('is made, and nothing is left in it', async () => {
    await makeWritableFolder(join(folder, 'deep', 'out'));
    expect(readdirSync(join(folder, 'deep', 'out'))).toEqual([]);
  });

  it('that cannot be is told as a sentence that names it', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const thrown: unknown = await makeWritableFolder(file).catch((error: unknown) => error);
    expect(toTributaryError(thrown)).toMatchObject({
      code: 'file.wrong-kind',
      message: `${file} is there already.`,
    });
  });

  it('of which the system only says that it is not there, could not be made', () => {
    const error = Object.assign(new Error(), { code: 'ENOENT', syscall: 'mkdir', path: '/out' });
    expect(toTributaryError(error).code).toBe('file.not-allowed');
  });

  it('is the one a copy goes to', () => {
    const error = Object.assign(new Error(), { code: 'ENOSPC', path: '/from', dest: '/to' });
    expect(toTributaryError(error).message).toBe('No space is left to write /to.');
  });

  it.each([
    ['ENOENT', 'file.not-found', 'There is no rows.jsonl.'],
    ['EACCES', 'file.not-allowed', 'The system does not allow access to rows.jsonl.'],
    ['ENOSPC', 'disk.full', 'No space is left to write rows.jsonl.'],
  ])('%s is %s', (system, code, message) => {
    const error = Object.assign(new Error(`${system}: something`), { code: system, path: 'rows.jsonl' });
    expect(toTributaryError(error)).toMatchObject({ code, message });
  });
});
