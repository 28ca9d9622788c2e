import { expect, it } from 'vitest';
import { emptyParameters, packParameters } from '../../core/engine/parameters.ts';

it('lays tensors side by side in their order, each a view into one array', () => {
  const { flat, tensors } = emptyParameters([
    { name: 'a', shape: [2, 3] },
    { name: 'b', shape: [4] },
  ]);
  expect([...flat]).toEqual(Array.from({ length: 10 }, () => 0));
  tensors.get('b')?.data.fill(7);
  flat[5] = 9;
  expect([...(tensors.get('a')?.data ?? [])]).toEqual([0, 0, 0, 0, 0, 9]);
  expect([...flat]).toEqual([0, 0, 0, 0, 0, 9, 7, 7, 7, 7]);
  expect([...tensors].map(([name, { shape }]) => [name, shape])).toEqual([
    ['a', [2, 3]],
    ['b', [4]],
  ]);
});

it('packs a copy: the tensors that were given do not change with it', () => {
  const given = new Map([
    ['b', { shape: [2], data: Float32Array.of(1, 2) }],
    ['a', { shape: [1, 1], data: Float32Array.of(3) }],
  ]);
  const { flat, tensors } = packParameters(given);
  expect([...flat]).toEqual([1, 2, 3]);
  expect([...tensors.keys()]).toEqual(['b', 'a']);
  flat.fill(0);
  expect([...given.values()].map(({ data }) => [...data])).toEqual([[1, 2], [3]]);
});
