import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** The window: one page with relative addresses, so that it works from `app://` and from a loopback server alike. */
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  plugins: [svelte()],
  build: {
    outDir: '../out/renderer',
    emptyOutDir: true,
    target: 'chrome130',
    modulePreload: { polyfill: false },
    // What is bundled, with its licences, as they ask for; the bill of materials reads it too.
    license: { fileName: 'licences.json' },
    // The page's rules of what it may load know no data: addresses for scripts and fonts.
    assetsInlineLimit: 0,
  },
});
