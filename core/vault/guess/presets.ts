/** @file Known datasets and how their columns are mapped, from `resources/mappings.json`. */

import { z } from 'zod';
import presets from '../../../resources/mappings.json' with { type: 'json' };
import { mappingShape } from '../mapping-shape.ts';
import type { SourceRow } from '../readers/source.ts';

const presetShape = z.strictObject({
  /** Name of the dataset where it is published. */
  dataset: z.string(),
  /** Others with the same columns, which cannot and need not be told apart. */
  alike: z.array(z.string()).default([]),
  /** Columns that the file must have. */
  columns: z.array(z.string()).min(1),
  /** Whether many files have such columns: then it is not recognised by them. */
  common: z.boolean().default(false),
  /** How every value of a column begins. */
  begins: z.record(z.string(), z.string()).default({}),
  mapping: mappingShape,
});
export type Preset = z.infer<typeof presetShape>;

/** The more particular ones first. */
export const PRESETS: readonly Preset[] = z
  .strictObject({ presets: z.array(presetShape) })
  .parse(presets).presets;

/** The first preset that a file fits. */
export function findPreset(columns: readonly string[], rows: readonly SourceRow[]): Preset | null {
  const fits = ({ columns: wanted, common, begins }: Preset): boolean =>
    !common &&
    wanted.every((name) => columns.includes(name)) &&
    Object.entries(begins).every(([name, beginning]) =>
      rows.every((row) => {
        const value = row[name];
        return typeof value === 'string' && value.startsWith(beginning);
      }),
    );
  return PRESETS.find(fits) ?? null;
}

/** The preset of a dataset, by its own name or that of one with the same columns. */
export function presetNamed(dataset: string): Preset {
  const found = PRESETS.find((preset) => preset.dataset === dataset || preset.alike.includes(dataset));
  if (found === undefined) throw new Error(`resources/mappings.json does not map ${dataset}`);
  return found;
}
