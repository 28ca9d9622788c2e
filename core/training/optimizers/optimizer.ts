/** @file What the training loop needs to know of an optimizer. */

/** One flat array per tensor; parameters, gradients and moments share order and lengths. */
export type FlatTensors = readonly Float32Array[];

/** Everything an optimizer remembers from step to step; this and the parameters are all a checkpoint has to keep. */
export interface OptimizerState<Moment extends string = string> {
  /** Steps taken. */
  step: number;
  /** What it keeps of past gradients, by name. */
  readonly moments: Readonly<Record<Moment, FlatTensors>>;
}

/** One step: the parameters and the state are changed in place, and nothing else. */
export interface OptimizerStep<Moment extends string = string> {
  readonly parameters: FlatTensors;
  readonly gradients: FlatTensors;
  /** Multiplies every gradient as it is read, such as the factor of clipping; 1 by default. */
  readonly gradientScale?: number;
  readonly state: OptimizerState<Moment>;
  readonly learningRate: number;
}

export interface Optimizer<Moment extends string = string> {
  /** The state before the first step, for parameters of these lengths. */
  init(parameters: FlatTensors): OptimizerState<Moment>;
  update(step: OptimizerStep<Moment>): void;
}

/** Arrays of zeros of the same lengths. */
export function zerosLike(tensors: FlatTensors): FlatTensors {
  return tensors.map(({ length }) => new Float32Array(length));
}
