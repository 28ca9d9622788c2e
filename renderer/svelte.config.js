import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

/** Everything is written with runes; a warning of the compiler is a fault. */
export default {
  preprocess: vitePreprocess(),
  compilerOptions: { runes: true },
  // Libraries in node_modules may still be written the old way.
  vitePlugin: {
    dynamicCompileOptions: ({ filename }) =>
      filename.includes('node_modules') ? { runes: undefined } : undefined,
  },
};
