/** @file Owns a model, its engine and at most one adapter, and lets the work be done on them. */

import { join } from 'node:path';

import type { Precision } from '../engine/precisions.ts';
import { chooseDevice, type Device } from '../engine/devices.ts';
import { Engine } from '../engine/engine.ts';
import { readCosts, type Costs } from '../engine/profile.ts';
import type { Parameters } from '../engine/parameters.ts';
import { TributaryError } from '../errors.ts';
import { dataFolder } from '../folders.ts';
import { readAdapter, writeAdapter } from '../model/adapter.ts';
import { initialAdapter, type LoraConfiguration } from '../model/lora.ts';
import { writeModelFolder } from '../model/model-folder.ts';
import { openModel, type OpenModel } from '../model/open.ts';
import { readSafetensors } from '../model/safetensors.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { answerPrompts } from './answering.ts';
import { scoreAnswers } from './answers.ts';
import { openCheckpoints, type Checkpoints } from './checkpoints.ts';
import { evaluate } from './evaluation.ts';
import { fingerprintOf } from './fingerprint.ts';
import { fullWeights } from './full-weights.ts';
import { generate } from './generation.ts';
import { dpoObjective } from './objectives/dpo.ts';
import { sftObjective } from './objectives/sft.ts';
import type { Observer } from './observer.ts';
import { choosePrecision } from './precision.ts';
import { evaluatePreferences } from './preference-evaluation.ts';
import { createReference, type Reference } from './reference.ts';
import type {
  AnswersRequest,
  AnswersResult,
  EvaluateRequest,
  EvaluateResult,
  GenerateRequest,
  GenerateResult,
  PreferenceRequest,
  PreferenceResult,
  ScoreRequest,
  ScoreResult,
  StepReport,
  TrainerOptions,
  TrainRequest,
  TrainResult,
} from './requests.ts';
import { fitAdapter, trainablePart, type TrainedAdapter } from './trained-adapter.ts';
import { gradientsOf, trainSteps } from './training-loop.ts';

export class Trainer {
  readonly identity: OpenModel['identity'];
  /** Why it computes on this device. */
  readonly deviceReason: string;
  readonly #model: OpenModel;
  readonly #engine: Engine;
  /** All weights, where they are what is trained. */
  readonly #weights: Parameters | null;
  /** Folder of ONNX Runtime's records. */
  readonly #profile: string | undefined;
  #adapter: TrainedAdapter | null = null;
  /** Keeps what it has computed, also from one adapter to the next. */
  #reference: Reference | null = null;
  /** Kept from one training of an adapter to the next. */
  #gradients: Parameters | null = null;

  private constructor(
    model: OpenModel,
    engine: Engine,
    {
      weights,
      deviceReason,
      profile,
    }: { weights: Parameters | null; deviceReason: string; profile: string | undefined },
  ) {
    this.#model = model;
    this.#engine = engine;
    this.#weights = weights;
    this.#profile = profile;
    this.identity = model.identity;
    this.deviceReason = deviceReason;
  }

  /** @throws TributaryError of `openModel`, `chooseDevice`, `engine.precision-unavailable` or `training.full-weights` */
  static async open(options: TrainerOptions): Promise<Trainer> {
    const model = await openModel(options.model);
    try {
      const { device, reason: deviceReason } = await chooseDevice(options.device);
      const cache = join(dataFolder(), 'cache', model.identity.sha256);
      const { profile } = options;
      const shared = { ...options, device, cache, profile: profile && join(profile, 'record') };
      if (options.trains === 'weights') {
        if (!['auto', 'f32'].includes(options.precision)) throw fullPrecision(options.precision);
        const { store, parameters } = fullWeights(model.weights);
        const engine = new Engine(store, { ...shared, precision: 'f32' });
        return new Trainer(model, engine, { weights: parameters, deviceReason, profile });
      }
      const engine = new Engine(model.weights, {
        ...shared,
        precision: choosePrecision(options.precision, model),
      });
      return new Trainer(model, engine, { weights: null, deviceReason, profile });
    } catch (error) {
      model.close();
      throw error;
    }
  }

  get precision(): Precision {
    return this.#engine.precision;
  }

  get device(): Device {
    return this.#engine.device;
  }

  /** The adapter's tensors as they are now: a view, not a copy. */
  get adapter(): NamedTensors | null {
    return this.#adapter?.parameters.tensors ?? null;
  }

  /**
   * Puts an adapter on the model, or takes it off.
   * @throws TributaryError `adapter.other-base` when names or shapes do not fit the model
   */
  setAdapter(adapter: { configuration: LoraConfiguration; tensors: NamedTensors } | null): void {
    this.#adapter = adapter && fitAdapter(this.#model, adapter);
    this.#gradients = null;
  }

  /** Puts a fresh adapter on the model: A random under the seed, B zero. */
  startAdapter(configuration: LoraConfiguration, seed: number): void {
    this.setAdapter({
      configuration,
      tensors: initialAdapter(this.#model.configuration, configuration, seed),
    });
  }

  /** Puts the adapter of a PEFT folder on the model. @throws TributaryError of `readAdapter` */
  loadAdapter(folder: string): void {
    this.setAdapter(readAdapter(folder, this.#model));
  }

  /**
   * What pairs are compared with: the base model alone, or with an adapter of which a copy is kept as it is now. It
   * stays until it is set again; at first it is the base model.
   * @throws TributaryError `adapter.other-base` when names or shapes do not fit the model
   */
  setReference(adapter: { configuration: LoraConfiguration; tensors: NamedTensors } | null): void {
    const fitted = adapter && fitAdapter(this.#model, adapter);
    this.#reference = createReference({ model: this.#model, engine: this.#engine, adapter: fitted });
  }

  /** Compares pairs with the adapter of a PEFT folder. @throws TributaryError of `readAdapter` */
  loadReference(folder: string): void {
    this.setReference(readAdapter(folder, this.#model));
  }

  /** Writes the adapter as a PEFT folder. */
  async saveAdapter(folder: string): Promise<void> {
    const { configuration, parameters } = this.#trained();
    await writeAdapter(folder, { configuration, tensors: parameters.tensors }, this.#model);
  }

  /** Writes all weights, as they are now, as a Hugging Face folder. @throws TributaryError `disk.full`, `file.*` */
  async saveModel(folder: string): Promise<void> {
    if (!this.#weights) throw new Error('the model was not opened to train its weights');
    await writeModelFolder(folder, { files: this.#model.files(), tensors: this.#weights.tensors });
  }

  /**
   * Trains the adapter in place, or all weights where the model was opened for that.
   * @throws TributaryError `checkpoint.*`, `training.stopped` when a signal aborts, `training.*`, `data.all-truncated`,
   * `model.context-length`, `template.none`, `engine.out-of-memory`
   */
  async train(request: TrainRequest, observer: Observer<StepReport> = {}): Promise<TrainResult> {
    if (this.#weights) return this.#trainWeights(this.#weights, request, observer);
    const part = trainablePart(this.#trained(), request.trainable ?? 'both');
    const isWhole = part.parameters.tensors.size === part.adapter.parameters.tensors.size;
    const gradients = isWhole
      ? (this.#gradients ??= gradientsOf(part.parameters))
      : gradientsOf(part.parameters);
    // What is said of the adapter meanwhile is said of the one that is trained.
    this.#adapter = part.adapter;
    try {
      return await this.#trainPart({ ...part, gradients }, request, observer);
    } finally {
      const { configuration, parameters } = part.adapter;
      if (!isWhole) this.#adapter = fitAdapter(this.#model, { configuration, tensors: parameters.tensors });
    }
  }

  async #trainWeights(
    parameters: Parameters,
    request: TrainRequest,
    observer: Observer<StepReport>,
  ): Promise<TrainResult> {
    if (request.objective === 'dpo') {
      const what = 'The objective "dpo" compares with the weights as they were, of which no copy is kept';
      throw new TributaryError('training.full-weights', `${what} where all of them are trained.`);
    }
    const gradients = (this.#gradients ??= gradientsOf(parameters));
    const objective = sftObjective({ ...this.#parts(), adapter: null }, request);
    const checkpoints = this.#checkpoints(request, {
      adapter: null,
      reference: null,
      tensors: parameters.tensors,
      write: (folder) => this.saveModel(folder),
      read: (folder) => readSafetensors(join(folder, 'model.safetensors')),
      observer,
    });
    return trainSteps(objective, { options: request, parameters, gradients, checkpoints }, observer);
  }

  async #trainPart(
    {
      adapter,
      parameters,
      gradients,
    }: { adapter: TrainedAdapter; parameters: Parameters; gradients: Parameters },
    request: TrainRequest,
    observer: Observer<StepReport>,
  ): Promise<TrainResult> {
    const reference = request.objective === 'dpo' ? this.#referenceScores() : null;
    const checkpoints = this.#checkpoints(request, {
      adapter,
      reference,
      tensors: adapter.parameters.tensors,
      write: (folder) => this.saveAdapter(folder),
      read: (folder) => readAdapter(folder, this.#model).tensors,
      observer,
    });
    const work = { options: request, parameters, gradients, engine: this.#engine, checkpoints };
    if (!reference) return trainSteps(sftObjective({ ...this.#parts(), adapter }, request), work, observer);
    try {
      const objective = dpoObjective({ ...this.#parts(), adapter, reference }, request);
      return await trainSteps(objective, work, observer);
    } finally {
      await reference.save();
    }
  }

  /** Loss of the model with its adapter, if it has one, on examples. @throws TributaryError of `evaluate` */
  async evaluate(
    request: EvaluateRequest,
    observer: Observer<{ done: number; total: number }> = {},
  ): Promise<EvaluateResult> {
    return evaluate(this.#parts(), request, observer);
  }

  /**
   * How well the model with its adapter, if it has one, tells preferred answers from others.
   * @throws TributaryError of `evaluatePreferences`
   */
  async evaluatePreferences(
    request: PreferenceRequest,
    observer: Observer<{ done: number; total: number }> = {},
  ): Promise<PreferenceResult> {
    const reference = this.#referenceScores();
    try {
      return await evaluatePreferences({ ...this.#parts(), reference }, request, observer);
    } finally {
      await reference.save();
    }
  }

  /** How likely each of the possible answers to prompts is. @throws TributaryError of `scoreAnswers` */
  async scoreAnswers(
    request: ScoreRequest,
    observer: Observer<{ done: number; total: number }> = {},
  ): Promise<ScoreResult> {
    return scoreAnswers(this.#parts(), request, observer);
  }

  /** The model's likeliest answers to prompts. @throws TributaryError of `answerPrompts` */
  async answerPrompts(
    request: AnswersRequest,
    observer: Observer<{ done: number; total: number }> = {},
  ): Promise<AnswersResult> {
    return answerPrompts(this.#parts(), request, observer);
  }

  /** The model's answer to a conversation. @throws TributaryError of `generate` */
  async generate(
    request: GenerateRequest,
    observer: Observer<{ delta: string }> = {},
  ): Promise<GenerateResult> {
    return generate(this.#parts(), request, observer);
  }

  /** What took how long in all sessions so far, which it closes. */
  async costs(): Promise<Costs> {
    if (this.#profile === undefined) throw new Error('the model was opened without a folder for records');
    await this.#engine.reopen(this.device);
    return readCosts(this.#profile);
  }

  /** Frees sessions, weights and the model's file. */
  async close(): Promise<void> {
    this.setAdapter(null);
    await this.#engine.release();
    this.#model.close();
  }

  /** The checkpoints, if any are asked for, of a training that starts from the tensors as they are now. */
  #checkpoints(
    request: TrainRequest,
    training: {
      adapter: TrainedAdapter | null;
      reference: Reference | null;
      /** Trained in place; those that stay as they are may be among them. */
      tensors: NamedTensors;
      write: (folder: string) => Promise<void>;
      read: (folder: string) => NamedTensors;
      observer: Observer<StepReport>;
    },
  ): Checkpoints | undefined {
    if (!request.checkpoints) return undefined;
    const { adapter, reference, tensors, write, read, observer } = training;
    const [model, engine] = [this.#model, this.#engine];
    return openCheckpoints(request.checkpoints, {
      fingerprint: fingerprintOf({ request, model, engine, adapter, reference, tensors }),
      write,
      read: (folder) => {
        const saved = read(folder);
        for (const [name, { data }] of tensors) data.set(saved.get(name)?.data ?? []);
      },
      notice: (notice) => observer.notice?.(notice),
    });
  }

  #parts(): { model: OpenModel; engine: Engine; adapter: TrainedAdapter | null } {
    return { model: this.#model, engine: this.#engine, adapter: this.#adapter };
  }

  #referenceScores(): Reference {
    return (this.#reference ??= createReference({ ...this.#parts(), adapter: null }));
  }

  #trained(): TrainedAdapter {
    if (!this.#adapter) throw new Error('there is no adapter on the model');
    return this.#adapter;
  }
}

function fullPrecision(precision: string): TributaryError {
  return new TributaryError(
    'training.full-weights',
    `All weights cannot be trained at precision ${precision}: they have to be float32.`,
  );
}
