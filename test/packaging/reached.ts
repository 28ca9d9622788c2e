/** @file Which files a program needs: everything that its imports and requires reach, found by a bundler. */

import { builtinModules } from 'node:module';
import { build } from 'vite';

/**
 * Absolute paths of the modules that entries reach. What is required under a name that is put together at run time,
 * such as a native module, is not seen.
 * @throws where an import leads nowhere
 */
export async function reachedFrom(root: string, entries: readonly string[]): Promise<Set<string>> {
  const reached = new Set<string>();
  await build({
    ...{ root, configFile: false, logLevel: 'error' },
    ssr: { noExternal: true },
    build: {
      ...{ ssr: true, write: false, minify: false },
      rollupOptions: {
        input: [...entries],
        treeshake: false,
        // Asked for without need: TypeScript for a strategy of one's own that is written in it, colours for `debug`.
        external: ['electron', 'typescript', 'supports-color', ...builtinModules, /^node:/, /\.node$/],
        onwarn: (warning) => {
          if (warning.code === 'UNRESOLVED_IMPORT') throw new Error(warning.message);
        },
      },
    },
    plugins: [{ name: 'record', moduleParsed: ({ id }) => void (id.startsWith(root) && reached.add(id)) }],
  });
  return reached;
}
