import { defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

/** Files that take longest, begun first: otherwise one of them runs alone at the end. */
const LONGEST = [
  'test/chaos/chaos.test.ts',
  'test/e2e/first-path.test.ts',
  'test/e2e/trouble.test.ts',
  'test/simulation/faults.test.ts',
  'test/engine/golden.test.ts',
  'test/engine/webgpu.test.ts',
  'test/cli/demo.test.ts',
  'test/site/codecs.test.ts',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.findIndex((path) => moduleId.endsWith(path));
      return found === -1 ? LONGEST.length : found;
    };
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}

/** Files that need a process of their own: they replace modules, or hold models or whole programs for long. */
const APART = [
  'test/{attack,chaos,desktop,e2e,engine,packaging,simulation,wire}/**/*.test.ts',
  'test/training/checkpoint-files.test.ts',
];

/** Child processes under test run the built programs in `out/`: build first (`npm test` does). */
export default defineConfig({
  test: {
    // For hangs alone: a machine that is busy with other work may take many times as long as a free one.
    testTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    // More than two cores' worth: much of what the longest tests do is waiting for other processes.
    maxWorkers: 3,
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'apart', include: APART } },
      // Modules are read once a worker, not once a file, which takes a third of the time of small files.
      {
        extends: true,
        test: {
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: APART,
          isolate: false,
          setupFiles: ['test/environment.ts'],
        },
      },
    ],
  },
});
