import { defineConfig } from 'vite';

/**
 * Pure packages that go into the programs: a process that reads a few files starts in three quarters of the time that
 * it takes with hundreds. They are development dependencies, since nothing asks for them at run time; what stands among
 * the dependencies stays outside: what is native, and what loads parts of itself.
 */
export const BUNDLED = [
  ...['cborg', 'commander', 'csv-parse', 'hyparquet', 'prom-client', 'qrcode', 'yaml', 'zod'],
  // What these bring along.
  ...['@opentelemetry/api', 'bintrees', 'dijkstrajs', 'pngjs', 'tdigest'],
];

/** Programs for Node: every entry becomes one file in `out/`. */
export default defineConfig({
  ssr: { noExternal: BUNDLED },
  build: {
    ssr: true,
    target: 'node20',
    outDir: 'out',
    emptyOutDir: true,
    sourcemap: true,
    // As in the window.
    license: { fileName: 'licences.json' },
    rollupOptions: {
      input: {
        tributary: 'main/cli/tributary.ts',
        'desktop/main': 'main/desktop/main.ts',
        core: 'core/index.ts',
        'training-process': 'core/training/process.ts',
        'device-probe': 'core/engine/device-probe.ts',
      },
    },
  },
});
