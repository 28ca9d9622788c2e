/** @file `tributary bench generate`: how fast text is read and continued. */

import type { Command } from 'commander';
import { z } from 'zod';
import { Random } from '../../../core/random.ts';
import { formatBytes } from '../../../core/sizes.ts';
import { withTrainer } from '../../../core/training/client.ts';
import { runs, wholeNumber } from '../command.ts';
import { engineOptions, peakMemory, withEngineOptions } from '../training.ts';

const options = engineOptions.extend({
  adapter: z.string().optional(),
  promptTokens: wholeNumber(1),
  tokens: wholeNumber(2),
  rounds: wholeNumber(1),
  exact: z.boolean().optional(),
});

export function register(bench: Command): void {
  withEngineOptions(
    bench
      .command('generate')
      .description('speed and memory of greedy generation; the prompt is random tokens'),
  )
    .option('--adapter <folder>', 'PEFT folder')
    .option('--prompt-tokens <number>', 'length of the prompt', '128')
    .option('--tokens <number>', 'length of the continuation', '64')
    .option('--rounds <number>', 'how often, after the first, which finds nothing prepared', '3')
    .option('--exact', 'keep activations in float32, where packed weights make them 8 bits without it')
    .action(benchGenerate);
}

/** Tokens that no model treats specially lie above the first few. */
const ORDINARY_TOKENS = { from: 100, to: 256 };

const benchGenerate = runs(options, async (input, { output }) => {
  const started = performance.now();
  const random = new Random('bench', 'generate');
  const tokens = Array.from(
    { length: input.promptTokens },
    () => ORDINARY_TOKENS.from + random.below(ORDINARY_TOKENS.to - ORDINARY_TOKENS.from),
  );
  const request = {
    messages: [],
    template: 'chat',
    tokens,
    maxTokens: input.tokens,
    temperature: 0,
    topK: 0,
    topP: 1,
    seed: 0,
    throughEnd: true,
    ...(input.exact && { exact: true }),
  } as const;
  await withTrainer(input, async (trainer, { identity, precision, device }) => {
    if (input.adapter !== undefined) await trainer.call('loadAdapter', { folder: input.adapter });
    const opened = (performance.now() - started) / 1000;
    const first = await trainer.call('generate', request);
    const answers = [];
    for (let round = 0; round < input.rounds; round++) answers.push(await trainer.call('generate', request));
    const speeds = answers.map(({ tokensPerSecond }) => tokensPerSecond);
    const reading = answers.map(
      ({ promptTokens, secondsToFirstToken }) => promptTokens / secondsToFirstToken,
    );
    const result = {
      model: identity,
      precision,
      device,
      activations: input.exact ? 'float32' : 'int8 where weights are packed',
      promptTokens: input.promptTokens,
      tokens: input.tokens,
      tokensPerSecond: middle(speeds),
      tokensPerSecondBest: Math.max(...speeds),
      prefillTokensPerSecond: middle(reading),
      prefillTokensPerSecondBest: Math.max(...reading),
      processorSecondsPerToken: middle(answers.map((answer) => answer.processorSecondsPerToken)),
      secondsToFirstToken: opened + first.secondsToFirstToken,
      peakRssBytes: await peakMemory(trainer),
    };
    output.line(
      `${result.tokensPerSecond.toFixed(1)} tokens/s (best ${result.tokensPerSecondBest.toFixed(1)}), ` +
        `prompt ${result.prefillTokensPerSecond.toFixed(0)} tokens/s, ` +
        `first token after ${result.secondsToFirstToken.toFixed(1)} s, ${formatBytes(result.peakRssBytes)} at most`,
    );
    output.result(result);
  });
});

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
