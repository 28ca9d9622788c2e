import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openGraph } from '../../core/engine/graph-session.ts';
import { PreparedFile } from '../../core/engine/prepared-file.ts';
import { mul } from '../../core/graph/build.ts';
import { Graph } from '../../core/graph/graph.ts';
import { temporaryFolder } from '../model/fixtures.ts';

const prepared = (folder: string, kind: string, layout: number) =>
  new PreparedFile(folder, () => ({
    content: { kind, layout },
    entries: [
      { parts: [{ name: 'w', length: 8 }], make: () => [new Uint8Array(Float32Array.of(3, layout).buffer)] },
    ],
  })).external();

it('what an earlier layout has prepared is removed, and no other kind of file', async () => {
  const folder = temporaryFolder();
  const [first, other] = [await prepared(folder, 'int8', 1), await prepared(folder, 'decoding', 1)];
  const second = await prepared(folder, 'int8', 2);
  expect(second.data.location).not.toBe(first.data.location);
  expect(readdirSync(folder).sort()).toEqual([other.data.location, second.data.location].sort());
});

it('a graph over a prepared file reads it, and leaves nothing of its own there', async () => {
  const folder = join(temporaryFolder(), 'cache');
  const external = await prepared(folder, 'int8', 5);
  const graph = new Graph();
  const w = graph.input('w', 'float32', [2]);
  graph.output('y', mul(w, w));
  const session = await openGraph(graph, external, { device: 'cpu', threads: 1 });
  try {
    expect(readdirSync(folder)).toEqual([external.data.location]);
    expect([...((await session.run({})).y.data as Float32Array)]).toEqual([9, 25]);
  } finally {
    await session.release();
  }
});
