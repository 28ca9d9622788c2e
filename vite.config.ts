import { defineConfig } from 'vite';

/** Programs for Node: every entry becomes one file in `out/`; installed packages stay outside the bundle. */
export default defineConfig({
  build: {
    ssr: true,
    target: 'node20',
    outDir: 'out',
    emptyOutDir: true,
    sourcemap: true,
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
