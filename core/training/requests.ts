/** @file What a trainer is asked and what it answers. */

import type { RequestedDevice } from '../engine/devices.ts';
import type { Recompute } from '../engine/graphs/recompute.ts';
import type { SamplingOptions } from '../engine/sampling.ts';
import type { Trainable } from '../model/lora.ts';
import type { CheckpointOptions } from './checkpoints.ts';
import type { ControlVariates, ControlVariatesAfter } from './control-variates.ts';
import type { Example, Message, PreferenceExample } from './examples.ts';
import type { OptimizerOptions } from './optimizers/table.ts';
import type { PreferenceMetrics, PreferenceOptions } from './preference.ts';
import type { RequestedPrecision } from './precision.ts';
import type { AnswerScores } from './reference-cache.ts';
import type { TemplateName } from './templates.ts';
import type { TokenExample } from './tokens.ts';

export interface TrainerOptions {
  /** Catalogue id, `tiny` or a path. */
  readonly model: string;
  readonly precision: RequestedPrecision;
  readonly device: RequestedDevice;
  /** Threads inside one operator; default all cores. */
  readonly threads?: number;
  /** What a backward pass computes again rather than keeps; default what the memory limit demands. */
  readonly recompute?: Recompute;
  /** Bytes that a step may take of the training process; default no limit. */
  readonly memoryLimit?: number;
  /** An empty folder for ONNX Runtime's records of every node that runs; see the call `costs`. */
  readonly profile?: string;
  /** What is trained: an adapter by default, or all weights of the model, which then are float32. */
  readonly trains?: 'adapter' | 'weights';
}

/** How examples become tokens. */
export interface TextOptions {
  readonly template: TemplateName;
  /** Longest example in tokens. */
  readonly maxLength: number;
}

export interface TrainRequest extends TextOptions {
  /** What is learned: `sft` by default, from conversations; `dpo` from pairs. */
  readonly objective?: 'sft' | 'dpo';
  /** With the objective `dpo`; what is not said is as in `PREFERENCE_DEFAULTS`. */
  readonly dpo?: Partial<PreferenceOptions>;
  readonly examples: readonly (Example | PreferenceExample)[];
  /** Examples that are tokens already; they take the place of `examples`. */
  readonly tokens?: readonly TokenExample[];
  /** Examples in an optimizer step. */
  readonly batchSize: number;
  /** Examples computed at once at most; default as many as cost least. The gradients of a step's parts are summed. */
  readonly microBatchSize?: number;
  readonly steps: number;
  /** Constant over these steps. */
  readonly learningRate: number;
  readonly weightDecay: number;
  /** AdamW unless it is said. */
  readonly optimizer?: OptimizerOptions;
  /** Gradients are scaled down to this global norm. */
  readonly maxGradientNorm: number;
  /** Decide which examples are drawn, in which order. */
  readonly seedParts: readonly (string | number)[];
  /** Trains A or B alone and leaves the other as it is; both by default. */
  readonly trainable?: Trainable;
  /** FedProx: adds (μ/2)·‖p − w‖² to the loss, w being the adapter as it is when the training starts. */
  readonly proximal?: { readonly mu: number };
  /** SCAFFOLD: corrects every step, and the result says how the site's control variate changes. */
  readonly controlVariates?: ControlVariates;
  /** None are made unless it is said where. They decide nothing about the numbers. */
  readonly checkpoints?: CheckpointOptions;
}

/** One optimizer step. The loss is before the step, with the proximal term if there is one; the norm before clipping. */
export interface StepReport {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly gradientNorm: number;
  /** Means over the step's pairs before the step, with the objective `dpo`. */
  readonly preference?: PreferenceMetrics;
  /** Tokens of all examples, each counted in full, also where two share what they have in common. */
  readonly tokens: number;
  readonly supervisedTokens: number;
  /** Places that were computed: fewer than tokens where much is shared. */
  readonly places: number;
  /** Places that held nothing. */
  readonly padding: number;
  /** Sentences about what went wrong in the step and how it went on. */
  readonly notes?: readonly string[];
  readonly seconds: number;
}

export interface TrainResult {
  readonly steps: readonly StepReport[];
  /** Mean over the steps. */
  readonly loss: number;
  readonly tokens: number;
  readonly supervisedTokens: number;
  /** Places that were computed. */
  readonly places: number;
  /** Share of the computed places that was padding. */
  readonly paddingShare: number;
  /** Examples left out because nothing supervised was left within `maxLength`. */
  readonly skipped: number;
  /** With the request's control variates. */
  readonly controlVariates?: ControlVariatesAfter;
}

export interface EvaluateRequest extends TextOptions {
  readonly examples: readonly Example[];
  /** Examples of the longest length computed at once, and accordingly more of shorter ones. */
  readonly batchSize: number;
}

export interface EvaluateResult {
  /** Mean negative log-likelihood of the supervised tokens of all examples. */
  readonly loss: number;
  readonly perplexity: number;
  readonly supervisedTokens: number;
  readonly skipped: number;
  /** Per kept example: its index, the sum of its tokens' losses and their number. */
  readonly examples: readonly { readonly index: number; readonly loss: number; readonly tokens: number }[];
}

export interface PreferenceRequest extends TextOptions {
  readonly examples: readonly PreferenceExample[];
  /** Pairs computed at once. */
  readonly batchSize: number;
  readonly dpo?: Partial<PreferenceOptions>;
}

/** What the model and the reference make of one pair. */
export interface PairResult {
  readonly index: number;
  readonly margin: number;
  readonly policy: AnswerScores;
  readonly reference: AnswerScores;
  /** Tokens of the chosen answer and what ends it. */
  readonly chosenTokens: number;
}

export interface PreferenceResult {
  /** Means over the pairs. */
  readonly loss: number;
  readonly accuracy: number;
  readonly margin: number;
  /** Pairs left out: nothing, or no difference, was left of their answers within `maxLength`. */
  readonly skipped: number;
  readonly examples: readonly PairResult[];
}

/** A prompt, as text or as messages up to a turn of the user, and its possible answers, at least one. */
export interface AnswerQuestion {
  readonly prompt: string | readonly Message[];
  /** None is empty. In a template they neither begin nor end with white space. */
  readonly answers: readonly string[];
}

export interface ScoreRequest {
  readonly questions: readonly AnswerQuestion[];
  /** With a template, prompts are messages; with `none` they are text, which answers continue as they are. */
  readonly template: TemplateName | 'none';
  /** Longest prompt with an answer in tokens; default what the model takes. */
  readonly maxLength?: number;
}

/** How likely an answer is, with what ends it in the template. */
export interface AnswerScore {
  /** Natural logarithm, summed over its tokens. */
  readonly logProbability: number;
  readonly tokens: number;
  /** The summand of its first token. */
  readonly first: number;
  readonly firstToken: number;
}

export interface ScoreResult {
  /** Ordered by index, the question's place in the request; scores in the order of its answers. */
  readonly questions: readonly { readonly index: number; readonly answers: readonly AnswerScore[] }[];
  /** Questions left out because they are longer than is allowed. */
  readonly tooLong: readonly number[];
  /** Places that were computed. */
  readonly places: number;
}

export interface AnswersRequest {
  /** Messages in a template, texts with `none`. */
  readonly prompts: readonly AnswerQuestion['prompt'][];
  readonly template: TemplateName | 'none';
  /** Longest answer in tokens. */
  readonly maxTokens: number;
  /** Strings that end an answer and are not part of it. */
  readonly stop?: readonly string[];
  /** Longest prompt in tokens; default what the model takes. */
  readonly maxLength?: number;
}

export interface AnswersResult {
  /** Ordered by index, the prompt's place in the request. */
  readonly answers: readonly {
    readonly index: number;
    readonly text: string;
    readonly tokens: number;
    readonly finish: Finish;
  }[];
  /** Prompts left out because they are longer than is allowed. */
  readonly tooLong: readonly number[];
}

export interface GenerateRequest extends SamplingOptions {
  readonly messages: readonly Message[];
  readonly template: TemplateName;
  /** The prompt as tokens; it takes the place of `messages`. */
  readonly tokens?: readonly number[];
  readonly maxTokens: number;
  readonly seed: number;
  /** Strings that end the answer and are not part of it. */
  readonly stop?: readonly string[];
  /** Whether activations stay float32 where weights are packed: see `Continuation` of the engine. Default no. */
  readonly exact?: boolean;
  /** Goes on after the model's end token, as a measurement does. Default no. */
  readonly throughEnd?: boolean;
}

/**
 * Why an answer ended: the end token or a stop string, as many tokens as were asked for, as many as the model takes,
 * or the caller.
 */
export type Finish = 'stop' | 'length' | 'context' | 'stopped';

export interface GenerateResult {
  readonly text: string;
  /** Without the end token. */
  readonly tokens: number;
  readonly promptTokens: number;
  readonly finish: Finish;
  /** After the first token. */
  readonly tokensPerSecond: number;
  /** Time of all processors after the first token; also what they spent waiting for each other. */
  readonly processorSecondsPerToken: number;
  readonly secondsToFirstToken: number;
}
