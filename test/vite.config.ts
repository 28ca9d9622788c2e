import { join } from 'node:path';
import { defineConfig } from 'vite';
import { BUNDLED } from '../vite.config.ts';

/** Programs that tests and measurements start; apart from the product's, so that none of it is packaged. */
export default defineConfig({
  root: join(import.meta.dirname, '..'),
  ssr: { noExternal: BUNDLED },
  build: {
    ssr: true,
    target: 'node20',
    outDir: 'out/test',
    emptyOutDir: true,
    sourcemap: true,
    rollupOptions: {
      input: {
        golden: 'test/golden/run.ts',
        interop: 'test/interop/peft.ts',
        chaos: 'test/chaos/process.ts',
        'webgpu-check': 'test/engine/webgpu-check.ts',
      },
      // Beside the entries: programs of the product are looked for one folder up.
      output: { chunkFileNames: '[name]-[hash].js' },
    },
  },
});
