import { defineConfig } from 'vite';
import { requests } from '../../core/bridge/contract.ts';

/** The preload: one CommonJS file, which a sandboxed window asks for, that knows the contract's names and no schema. */
export default defineConfig({
  define: { REQUEST_NAMES: JSON.stringify(Object.keys(requests)) },
  build: {
    lib: {
      entry: new URL('preload.ts', import.meta.url).pathname,
      formats: ['cjs'],
      fileName: () => 'preload.cjs',
    },
    target: 'chrome130',
    outDir: 'out/desktop',
    // The programs of the desktop lie there already.
    emptyOutDir: false,
    minify: false,
    rollupOptions: { external: ['electron'] },
  },
});
