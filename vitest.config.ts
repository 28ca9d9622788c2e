import { defineConfig } from 'vitest/config';

/** Child processes under test run the built programs in `out/`: build first (`npm test` does). */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    maxWorkers: 2,
    pool: 'forks',
  },
});
