/** @file Results through the window's requests: what there is, its export, its end. */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openModel } from '../../core/model/open.ts';
import { useSiteWindow } from '../helpers/site-window.ts';

const window = useSiteWindow();
const { ask, hear, ended } = window;

async function trained(): Promise<string> {
  const { task, run } = await ask('alone.start', { model: 'tiny', steps: 1, maxLength: 128 });
  expect(await ended(task)).toMatchObject({ state: 'done' });
  return run;
}

describe('results', () => {
  it('are none at first, with the formats that there are', async () => {
    const { results, formats } = await ask('results.list', {});
    expect(results).toEqual([]);
    expect(formats).toEqual(['peft', 'merged', 'gguf', 'onnx']);
  });

  it('are exported as an adapter and as a whole model, which opens', async () => {
    const run = await trained();
    const exported = async (format: 'peft' | 'merged' | 'gguf') => {
      const folder = join(window.folder(), '..', format);
      const { task } = await ask('results.export', { run, format, folder });
      const { state, result } = await ended(task);
      expect(state).toBe('done');
      const { files } = result as { files: string[] };
      expect(files.every((file) => existsSync(file))).toBe(true);
      return folder;
    };
    expect(readdirSync(await exported('peft')).sort()).toEqual([
      'README.md',
      'adapter_config.json',
      'adapter_model.safetensors',
      'tributary.json',
    ]);
    for (const path of [await exported('merged'), join(await exported('gguf'), 'model.gguf')]) {
      const model = await openModel(path);
      expect(model.configuration.layers).toBe(2);
      model.close();
    }
  });

  it('are not exported over what is there', async () => {
    const run = await trained();
    const over = await ask('results.export', { run, format: 'peft', folder: window.folder() });
    expect(await ended(over.task)).toMatchObject({ state: 'failed', error: { code: 'export.not-empty' } });
  });

  it('are deleted by name and by nothing else', async () => {
    const run = await trained();
    const changed = hear('changed');
    for (const stranger of ['..', '../alone', 'alone-2', `${run}/..`]) {
      await expect(ask('results.delete', { run: stranger })).rejects.toMatchObject({
        code: 'results.unknown',
      });
    }
    await ask('results.delete', { run });
    expect(changed).toEqual([{ what: 'results' }]);
    expect((await ask('results.list', {})).results).toEqual([]);
    expect(existsSync(join(window.folder(), 'alone', run))).toBe(false);
    expect(existsSync(join(window.folder(), 'vault.sqlite'))).toBe(true);
  });
});
