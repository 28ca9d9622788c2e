import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { registerNamed } from '../../main/cli/loading.ts';

const out = join(import.meta.dirname, '../../out');

/** Packages that a built file and what it imports load at once. */
function packagesOf(file: string, seen = new Set<string>()): Set<string> {
  const packages = new Set<string>();
  if (seen.has(file)) return packages;
  seen.add(file);
  for (const [, from] of readFileSync(file, 'utf8').matchAll(/^(?:import|export)[^"\n]*"([^"]+)";$/gm)) {
    if (!from.startsWith('.')) packages.add(from);
    else for (const name of packagesOf(join(dirname(file), from), seen)) packages.add(name);
  }
  return packages;
}

describe('the files of commands', () => {
  it('are loaded for the command that is named, and all where none is', async () => {
    const loaded: string[] = [];
    const file = (name: string) => () => {
      loaded.push(name);
      return Promise.resolve({ register: (program: Command) => void program.command(name) });
    };
    const files = { one: file('one'), two: file('two') };
    await registerNamed(new Command(), files, ['--json', 'two', 'one']);
    expect(loaded.splice(0)).toEqual(['two']);
    await registerNamed(new Command(), files, ['--help']);
    await registerNamed(new Command(), files, ['toString']);
    expect(loaded).toEqual(['one', 'two', 'one', 'two']);
  });

  it.each(['train', 'bench-train', 'generate'])(
    'of %s leave ONNX Runtime to the process that computes',
    (name) => {
      const assets = join(out, 'assets');
      const file =
        readdirSync(assets).find((found) => new RegExp(`^${name}-[\\w-]{8}\\.js$`).test(found)) ?? '';
      const packages = packagesOf(join(assets, file));
      expect(packages).toContain('node:child_process');
      expect(packages).not.toContain('onnxruntime-node');
    },
  );
});
