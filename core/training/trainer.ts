/** @file Local training, evaluation and generation over one model: batches in, adapter and losses out. */

import { join } from 'node:path';

import { Engine, type Device, type EngineAdapter } from '../engine/engine.ts';
import { emptyParameters, type Parameters } from '../engine/parameters.ts';
import type { Precision } from '../engine/base-weights.ts';
import { sample } from '../engine/sampling.ts';
import { TributaryError } from '../errors.ts';
import { dataFolder } from '../folders.ts';
import { readAdapter, writeAdapter } from '../model/adapter.ts';
import { initialAdapter, loraShapes, type LoraConfiguration } from '../model/lora.ts';
import { openModel, type OpenModel } from '../model/open.ts';
import type { NamedTensors } from '../model/tensor.ts';
import { Random } from '../random.ts';
import { collate, sampleRound, type TokenBatch } from './batches.ts';
import type { Example } from './examples.ts';
import type {
  EvaluateResult,
  GenerateRequest,
  GenerateResult,
  Observer,
  StepReport,
  TextOptions,
  TrainerOptions,
  TrainRequest,
  TrainResult,
} from './requests.ts';
import { adamW, clipGlobalNorm } from './optimizer.ts';
import { choosePrecision } from './precision.ts';
import { makeTemplate, type Template, type TemplateName } from './templates.ts';
import { allTruncated, tokenizeExamples, tokenizePrompt, tokenizeText, type TokenExample } from './tokens.ts';

/** Owns a model, its engine and at most one adapter. */
export class Trainer {
  readonly identity: OpenModel['identity'];
  readonly #model: OpenModel;
  readonly #engine: Engine;
  #adapter: {
    configuration: LoraConfiguration;
    parameters: Parameters;
    gradients: Parameters | null;
  } | null = null;

  private constructor(model: OpenModel, engine: Engine) {
    this.#model = model;
    this.#engine = engine;
    this.identity = model.identity;
  }

  /** @throws TributaryError of `openModel`, or `engine.precision-unavailable` */
  static async open(options: TrainerOptions): Promise<Trainer> {
    const model = await openModel(options.model);
    try {
      const precision = choosePrecision(options.precision, model);
      const cache = join(dataFolder(), 'cache', model.identity.sha256);
      return new Trainer(model, new Engine(model.weights, { ...options, precision, cache }));
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
    if (!adapter) {
      this.#adapter = null;
      return;
    }
    const { configuration, tensors } = adapter;
    const shapes = loraShapes(this.#model.configuration, configuration);
    const parameters = emptyParameters(shapes);
    for (const { name, shape } of shapes) {
      const given = tensors.get(name);
      if (!given || given.shape.join() !== shape.join()) {
        const found = given ? `has shape [${given.shape.join(', ')}]` : 'is missing';
        throw new TributaryError(
          'adapter.other-base',
          `The adapter does not fit ${this.identity.id}: ${name} ${found} where [${shape.join(', ')}] is needed.`,
        );
      }
      parameters.tensors.get(name)?.data.set(given.data);
    }
    if (tensors.size !== shapes.length) {
      throw new TributaryError(
        'adapter.other-base',
        `The adapter has ${tensors.size} tensors where ${this.identity.id} takes ${shapes.length}.`,
      );
    }
    this.#adapter = { configuration, parameters, gradients: null };
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

  /** Writes the adapter as a PEFT folder. */
  async saveAdapter(folder: string): Promise<void> {
    if (!this.#adapter) throw new Error('there is no adapter to save');
    const { configuration, parameters } = this.#adapter;
    await writeAdapter(folder, { configuration, tensors: parameters.tensors }, this.#model);
  }

  /**
   * Trains the adapter for `steps` steps of AdamW with fresh moments, as each client-round of OpenFedLLM does.
   * The loss of a step is the mean over all supervised tokens of its examples.
   * @throws TributaryError `training.stopped` when the signal aborts, `training.not-finite`, `data.all-truncated`,
   * `model.context-length`
   */
  async train(request: TrainRequest, observer: Observer<StepReport> = {}): Promise<TrainResult> {
    const adapter = this.#adapter;
    if (!adapter) throw new Error('there is no adapter to train');
    const tokenized = request.tokens
      ? { examples: request.tokens, skipped: 0 }
      : tokenizeExamples(request.examples, this.#text(request));
    const gradients = (adapter.gradients ??= emptyParameters(
      [...adapter.parameters.tensors].map(([name, { shape }]) => ({ name, shape })),
    ));
    const optimizer = adamW({ weightDecay: request.weightDecay });
    const parameters = [adapter.parameters.flat];
    const state = optimizer.init(parameters);
    const drawn = sampleRound({ ...request, examples: tokenized.examples });
    const reports: StepReport[] = [];
    for (const [index, members] of drawn.entries()) {
      stopIfAborted(observer.signal);
      const started = performance.now();
      const batches = this.#batches(members, request.microBatchSize ?? request.batchSize);
      const loss = await this.#gradients(batches, { ...adapter, gradients });
      const gradientNorm = clipGlobalNorm([gradients.flat], request.maxGradientNorm);
      if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
        throw new TributaryError(
          'training.not-finite',
          `The loss of step ${index + 1} is not a finite number.`,
        );
      }
      optimizer.update({
        parameters,
        gradients: [gradients.flat],
        state,
        learningRate: request.learningRate,
      });
      const report = {
        step: index + 1,
        steps: drawn.length,
        loss,
        gradientNorm,
        ...countTokens(batches),
        seconds: (performance.now() - started) / 1000,
      };
      reports.push(report);
      observer.report?.(report);
    }
    return summarize(reports, tokenized.skipped);
  }

  /** Loss of the model with its adapter, if it has one, on examples; computed in batches of like length. */
  async evaluate(
    request: TextOptions & { examples: readonly Example[]; batchSize: number },
    observer: Observer<{ done: number; total: number }> = {},
  ): Promise<EvaluateResult> {
    const { template, tokenizer, maxLength } = this.#text(request);
    const kept = request.examples.flatMap((example, index) => {
      const tokens = tokenizeText(template.render(example), tokenizer, maxLength);
      return tokens ? [{ index, tokens }] : [];
    });
    if (kept.length === 0) throw allTruncated(request.examples.length, maxLength);
    kept.sort((a, b) => a.tokens.ids.length - b.tokens.ids.length || a.index - b.index);
    const examples: { index: number; loss: number; tokens: number }[] = [];
    for (let start = 0; start < kept.length; start += request.batchSize) {
      stopIfAborted(observer.signal);
      const members = kept.slice(start, start + request.batchSize);
      const batch = collate(
        members.map(({ tokens }) => tokens),
        tokenizer.padding,
      );
      const { tokenLosses } = await this.#engine.loss(batch, this.#engineAdapter());
      let at = 0;
      for (const { index, tokens } of members) {
        const own = tokenLosses.subarray(at, (at += tokens.supervisedTokens));
        examples.push({ index, loss: own.reduce((sum, value) => sum + value, 0), tokens: own.length });
      }
      observer.report?.({ done: examples.length, total: kept.length });
    }
    examples.sort((a, b) => a.index - b.index);
    const supervisedTokens = examples.reduce((sum, { tokens }) => sum + tokens, 0);
    const loss = examples.reduce((sum, example) => sum + example.loss, 0) / supervisedTokens;
    const skipped = request.examples.length - kept.length;
    return { loss, perplexity: Math.exp(loss), supervisedTokens, skipped, examples };
  }

  /**
   * The model's answer to a conversation, up to the model's longest context; `report` receives the text as it grows.
   * @throws TributaryError `model.context-length` when the prompt alone is longer
   */
  async generate(
    request: GenerateRequest,
    observer: Observer<{ text: string }> = {},
  ): Promise<GenerateResult> {
    const { tokenizer } = this.#model;
    const prompt = this.#template(request.template).prompt(request.messages);
    const ids = tokenizePrompt(prompt, tokenizer);
    const positions = this.#model.configuration.maximumPositions;
    if (ids.length >= positions) throw this.#tooLong(`The prompt has ${ids.length} tokens`);
    const random = new Random('generate', request.seed);
    const started = performance.now();
    let first = started;
    const generated: number[] = [];
    const choose = (logits: Float32Array) => sample(logits, request, random);
    for await (const token of this.#engine.generate(ids, this.#engineAdapter(), choose)) {
      if (generated.length === 0) first = performance.now();
      if (token === tokenizer.endOfSequence.id) break;
      generated.push(token);
      observer.report?.({ text: tokenizer.decode(generated, { skipSpecial: true }) });
      if (generated.length >= request.maxTokens || ids.length + generated.length >= positions) break;
      if (observer.signal?.aborted) break;
    }
    const seconds = (performance.now() - first) / 1000;
    return {
      text: tokenizer.decode(generated, { skipSpecial: true }),
      tokens: generated.length,
      tokensPerSecond: generated.length > 1 ? (generated.length - 1) / seconds : 0,
      secondsToFirstToken: (first - started) / 1000,
    };
  }

  /** Frees sessions, weights and the model's file. */
  async close(): Promise<void> {
    this.#adapter = null;
    await this.#engine.release();
    this.#model.close();
  }

  /** Sums the gradients of a step's parts, each token weighing the same; returns the loss. */
  async #gradients(
    batches: readonly TokenBatch[],
    adapter: { configuration: LoraConfiguration; parameters: Parameters; gradients: Parameters },
  ): Promise<number> {
    const { configuration, parameters, gradients } = adapter;
    const share = 1 / batches.reduce((sum, { supervisedTokens }) => sum + supervisedTokens, 0);
    const engineAdapter = { configuration, parameters: parameters.tensors, gradients };
    let loss = 0;
    let sum: Float32Array | null = null;
    for (const batch of batches) {
      loss += await this.#engine.lossAndGradients(batch, engineAdapter, share);
      if (batches.length === 1) return loss;
      if (!sum) sum = gradients.flat.slice();
      else for (let index = 0; index < sum.length; index++) sum[index] += gradients.flat[index];
    }
    if (sum) gradients.flat.set(sum);
    return loss;
  }

  #batches(members: readonly TokenExample[], size: number): TokenBatch[] {
    const parts: TokenBatch[] = [];
    for (let start = 0; start < members.length; start += size) {
      parts.push(collate(members.slice(start, start + size), this.#model.tokenizer.padding));
    }
    return parts;
  }

  #engineAdapter(): EngineAdapter | null {
    return (
      this.#adapter && {
        configuration: this.#adapter.configuration,
        parameters: this.#adapter.parameters.tensors,
      }
    );
  }

  #text({ template, maxLength }: TextOptions) {
    if (maxLength > this.#model.configuration.maximumPositions) {
      throw this.#tooLong(`The longest length is to be ${maxLength} tokens`);
    }
    return { template: this.#template(template), tokenizer: this.#model.tokenizer, maxLength };
  }

  #tooLong(what: string): TributaryError {
    const { identity, configuration } = this.#model;
    const limit = `${identity.id} takes ${configuration.maximumPositions} at most`;
    return new TributaryError('model.context-length', `${what}, but ${limit}.`);
  }

  #template(name: TemplateName): Template {
    const { chatTemplate, tokenizer, identity } = this.#model;
    const renderChat: NonNullable<typeof chatTemplate>['render'] = (messages, options) => {
      if (chatTemplate) return chatTemplate.render(messages, options);
      throw new TributaryError('template.none', `The model ${identity.id} brings no chat template.`);
    };
    return makeTemplate(name, { renderChat, endOfSequence: tokenizer.endOfSequence.text });
  }
}

function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new TributaryError('training.stopped', 'The work was stopped before its end.');
}

function countTokens(batches: readonly TokenBatch[]) {
  const sum = (key: 'tokens' | 'supervisedTokens' | 'padding') =>
    batches.reduce((total, batch) => total + batch[key], 0);
  return { tokens: sum('tokens'), supervisedTokens: sum('supervisedTokens'), padding: sum('padding') };
}

function summarize(steps: readonly StepReport[], skipped: number): TrainResult {
  const sum = (key: 'loss' | 'tokens' | 'supervisedTokens' | 'padding') =>
    steps.reduce((total, step) => total + step[key], 0);
  const [tokens, padding] = [sum('tokens'), sum('padding')];
  return {
    steps,
    loss: sum('loss') / steps.length,
    tokens,
    supervisedTokens: sum('supervisedTokens'),
    paddingShare: padding / (tokens + padding),
    skipped,
  };
}
