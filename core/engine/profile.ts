/** @file What ONNX Runtime's records of its nodes say: which operators, and which parts of a graph, take the time. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Cost {
  readonly name: string;
  readonly calls: number;
  readonly milliseconds: number;
}

/** Costliest first; each list adds up to the time of all nodes. */
export interface Costs {
  /** By ONNX operator. */
  readonly operators: readonly Cost[];
  /** By the path of the nodes, the same for all layers: `/gradient/layers/mlp/down_proj/Gemm`. */
  readonly places: readonly Cost[];
}

interface Event {
  readonly cat: string;
  readonly name: string;
  /** Microseconds. */
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

const KERNEL = '_kernel_time';
const BODIES: ReadonlySet<string> = new Set(['Loop', 'If']);

/** Adds up all records of a folder, which sessions write when they close. */
export function readCosts(folder: string): Costs {
  const operators = new Map<string, Cost>();
  const places = new Map<string, Cost>();
  for (const file of readdirSync(folder)) {
    const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Event[];
    for (const { cat, name, dur, args } of events) {
      // The nodes of a loop's body and of a branch are recorded beside it.
      if (cat !== 'Node' || !name.endsWith(KERNEL) || BODIES.has(args?.op_name ?? '')) continue;
      count(operators, args?.op_name ?? 'unknown', dur);
      count(places, placeOf(name.slice(0, -KERNEL.length)), dur);
    }
  }
  return { operators: costliest(operators), places: costliest(places) };
}

/** The path without the numbers by which layers and equal nodes differ. */
function placeOf(name: string): string {
  return name.replaceAll(/[._]\d+(?=\/|$)/g, '');
}

function count(costs: Map<string, Cost>, name: string, microseconds: number): void {
  const { calls, milliseconds } = costs.get(name) ?? { calls: 0, milliseconds: 0 };
  costs.set(name, { name, calls: calls + 1, milliseconds: milliseconds + microseconds / 1000 });
}

function costliest(costs: ReadonlyMap<string, Cost>): Cost[] {
  return [...costs.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}
