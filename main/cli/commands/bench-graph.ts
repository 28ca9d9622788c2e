/** @file `tributary bench graph`: how long the graph of a training step takes to be made, and what it will need. */

import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Command } from 'commander';
import { z } from 'zod';
import { BaseWeights } from '../../../core/engine/base-weights.ts';
import { PRECISIONS } from '../../../core/engine/precisions.ts';
import { openGraph } from '../../../core/engine/graph-session.ts';
import { lossGraph } from '../../../core/engine/graphs/loss.ts';
import { RECOMPUTES } from '../../../core/engine/graphs/recompute.ts';
import { stepBytes } from '../../../core/engine/memory.ts';
import { graphPlan, trainingPlan } from '../../../core/engine/sessions.ts';
import { dataFolder } from '../../../core/folders.ts';
import { toOnnx } from '../../../core/graph/onnx.ts';
import { loraShapes } from '../../../core/model/lora.ts';
import { openModel } from '../../../core/model/open.ts';
import { elementCount } from '../../../core/model/tensor.ts';
import { formatBytes } from '../../../core/sizes.ts';
import { choosePrecision } from '../../../core/training/precision.ts';
import { runs, wholeNumber } from '../command.ts';
import { formatTable } from '../format.ts';

const options = z.object({
  model: z.string(),
  precision: z.enum(['auto', ...PRECISIONS]),
  rank: wholeNumber(1),
  batch: wholeNumber(1),
  length: wholeNumber(8),
});

export function register(bench: Command): void {
  bench
    .command('graph')
    .description('the graph of a training step: its size, how long it takes to make and to open, its memory')
    .requiredOption('--model <model>', 'id in the catalogue, `tiny`, GGUF file or Hugging Face folder')
    .option('--precision <name>', 'auto, f32, int8 or int4', 'auto')
    .option('--rank <number>', 'rank of the adapter on all linears', '8')
    .option('--batch <number>', 'rows in a step, half of each supervised', '4')
    .option('--length <tokens>', 'length of a row', '128')
    .action(benchGraph);
}

const benchGraph = runs(options, async (input, { output }) => {
  const model = await openModel(input.model);
  try {
    const { configuration } = model;
    const precision = choosePrecision(input.precision, model);
    const folder = join(dataFolder(), 'cache', model.identity.sha256);
    const weights = new BaseWeights(model.weights, { precision, device: 'cpu', folder });
    await weights.prepare();
    const external = precision === 'f32' ? null : await weights.external();
    const adapter = { rank: input.rank, alpha: input.rank, targets: 'all-linear' } as const;
    const shapes = loraShapes(configuration, adapter);
    const trained = shapes.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    const sizes = {
      batch: input.batch,
      length: input.length,
      rows: (input.batch * input.length) / 2,
      positions: Math.max(input.length, 512),
    };
    const graphs = [];
    for (const recompute of RECOMPUTES) {
      const built = timed(() =>
        lossGraph(
          trainingPlan(weights, graphPlan(weights, { configuration, device: 'cpu', adapter, recompute })),
          shapes.map(({ name }) => name),
        ),
      );
      const { graph } = built.result;
      const written = timed(() => toOnnx(graph, external?.data));
      const started = performance.now();
      const session = await openGraph(graph, external, { device: 'cpu', threads: 1, prepacked: false });
      const opening = (performance.now() - started) / 1000;
      await session.release();
      graphs.push({
        recompute,
        nodes: graph.nodes.length,
        bytes: written.result.bytes.length,
        secondsToBuild: built.seconds,
        secondsToWrite: written.seconds,
        secondsToOpen: opening,
        estimatedPeakBytes: stepBytes(built.result, sizes, trained),
      });
    }
    const head = [
      'computed again',
      'nodes',
      'file',
      's to build',
      's to write',
      's to open',
      'peak of a step',
    ];
    const rows = graphs.map((one) => [
      one.recompute,
      one.nodes,
      formatBytes(one.bytes),
      ...[one.secondsToBuild, one.secondsToWrite, one.secondsToOpen].map((seconds) => seconds.toFixed(2)),
      formatBytes(one.estimatedPeakBytes),
    ]);
    for (const line of formatTable(head, rows)) output.line(line);
    output.result({ model: model.identity, precision, rank: input.rank, ...sizes, graphs });
  } finally {
    model.close();
  }
});

function timed<T>(work: () => T): { result: T; seconds: number } {
  const started = performance.now();
  const result = work();
  return { result, seconds: (performance.now() - started) / 1000 };
}
