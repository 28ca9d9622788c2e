/** @file An adapter on a model: its tensors side by side, checked against the model's shapes. */

import type { EngineAdapter } from '../engine/engine.ts';
import { emptyParameters, type Parameters } from '../engine/parameters.ts';
import { TributaryError } from '../errors.ts';
import { loraShapes, type LoraConfiguration } from '../model/lora.ts';
import type { OpenModel } from '../model/open.ts';
import type { NamedTensors } from '../model/tensor.ts';

/** An adapter as it is trained, in place. */
export interface TrainedAdapter {
  readonly configuration: LoraConfiguration;
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

/** The adapter as the engine takes it; null stays null, the base model alone. */
export function engineAdapter(adapter: TrainedAdapter | null): EngineAdapter | null {
  return adapter && { configuration: adapter.configuration, parameters: adapter.parameters.tensors };
}
