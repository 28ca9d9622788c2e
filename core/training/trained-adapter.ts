/** @file An adapter on a model: its tensors side by side, checked against the model's shapes. */

import type { EngineAdapter } from '../engine/engine.ts';
import { emptyParameters, packParameters, type Parameters } from '../engine/parameters.ts';
import { TributaryError } from '../errors.ts';
import { isTrainable, loraShapes, type LoraConfiguration, type Trainable } from '../model/lora.ts';
import type { OpenModel } from '../model/open.ts';
import type { NamedTensors } from '../model/tensor.ts';

/** An adapter as it is trained, in place. */
export interface TrainedAdapter {
  readonly configuration: LoraConfiguration;
  /** All of its tensors; while only a part is trained, `flat` holds that part. */
  readonly parameters: Parameters;
}

/**
 * A copy of the tensors in the order and layout of the model's adapter.
 * @throws TributaryError `adapter.other-base` when names or shapes do not fit the model
 */
export function fitAdapter(
  { configuration: dimensions, identity }: OpenModel,
  { configuration, tensors }: { configuration: LoraConfiguration; tensors: NamedTensors },
): TrainedAdapter {
  const shapes = loraShapes(dimensions, configuration);
  const parameters = emptyParameters(shapes);
  for (const { name, shape } of shapes) {
    const given = tensors.get(name);
    if (!given || given.shape.join() !== shape.join()) {
      const found = given ? `has shape [${given.shape.join(', ')}]` : 'is missing';
      throw new TributaryError(
        'adapter.other-base',
        `The adapter does not fit ${identity.id}: ${name} ${found} where [${shape.join(', ')}] is needed.`,
      );
    }
    parameters.tensors.get(name)?.data.set(given.data);
  }
  if (tensors.size !== shapes.length) {
    throw new TributaryError(
      'adapter.other-base',
      `The adapter has ${tensors.size} tensors where ${identity.id} takes ${shapes.length}.`,
    );
  }
  return { configuration, parameters };
}

/**
 * An adapter of which only A or B is trained: `parameters` are those tensors side by side, all that an optimizer
 * sees, and `adapter` computes with them and with the others as they are.
 */
export function trainablePart(
  adapter: TrainedAdapter,
  trainable: Trainable,
): { adapter: TrainedAdapter; parameters: Parameters } {
  if (trainable === 'both') return { adapter, parameters: adapter.parameters };
  const { tensors } = adapter.parameters;
  const parameters = packParameters(new Map([...tensors].filter(([name]) => isTrainable(name, trainable))));
  const whole = new Map([...tensors].map(([name, tensor]) => [name, parameters.tensors.get(name) ?? tensor]));
  return { adapter: { ...adapter, parameters: { flat: parameters.flat, tensors: whole } }, parameters };
}

/** The adapter as the engine takes it; null stays null, the base model alone. */
export function engineAdapter(adapter: TrainedAdapter | null): EngineAdapter | null {
  return adapter && { configuration: adapter.configuration, parameters: adapter.parameters.tensors };
}
