/** @file What the training process can be asked. Messages are structured clones over a child process's channel. */

import type { LoraConfiguration } from '../model/lora.ts';
import type { NamedTensors } from '../model/tensor.ts';
import type { ModelIdentity } from '../model/open.ts';
import type { Device } from '../engine/engine.ts';
import type { Costs } from '../engine/profile.ts';
import type { Precision } from '../engine/precisions.ts';
import type { Notice } from './observer.ts';
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

/** Each call with its question, its answer and what it reports meanwhile. */
export interface Calls {
  open: {
    question: TrainerOptions;
    answer: {
      identity: ModelIdentity;
      precision: Precision;
      device: Device;
      /** Why it is this device. */
      deviceReason: string;
    };
    report: never;
  };
  setAdapter: {
    question: { configuration: LoraConfiguration; tensors: NamedTensors } | null;
    answer: null;
    report: never;
  };
  startAdapter: {
    question: { configuration: LoraConfiguration; seed: number };
    answer: null;
    report: never;
  };
  loadAdapter: { question: { folder: string }; answer: null; report: never };
  saveAdapter: { question: { folder: string }; answer: null; report: never };
  /** All weights as a Hugging Face folder, where the model was opened to train them. */
  saveModel: { question: { folder: string }; answer: null; report: never };
  adapter: { question: null; answer: NamedTensors | null; report: never };
  setReference: {
    question: { configuration: LoraConfiguration; tensors: NamedTensors } | null;
    answer: null;
    report: never;
  };
  loadReference: { question: { folder: string }; answer: null; report: never };
  train: { question: TrainRequest; answer: TrainResult; report: StepReport };
  evaluate: {
    question: EvaluateRequest;
    answer: EvaluateResult;
    report: { done: number; total: number };
  };
  evaluatePreferences: {
    question: PreferenceRequest;
    answer: PreferenceResult;
    report: { done: number; total: number };
  };
  scoreAnswers: {
    question: ScoreRequest;
    answer: ScoreResult;
    report: { done: number; total: number };
  };
  answerPrompts: {
    question: AnswersRequest;
    answer: AnswersResult;
    report: { done: number; total: number };
  };
  generate: { question: GenerateRequest; answer: GenerateResult; report: { delta: string } };
  /** What took how long, of a model that was opened with a folder for records; closes all sessions. */
  costs: { question: null; answer: Costs; report: never };
  /** Largest resident memory so far, in bytes. */
  memory: { question: null; answer: number; report: never };
}

export type CallName = keyof Calls;

export type ToTrainer =
  | {
      [Name in CallName]: { type: 'call'; id: number; name: Name; question: Calls[Name]['question'] };
    }[CallName]
  /** Ends a call; with `save`, a training finishes its step and leaves a checkpoint where it makes any. */
  | { type: 'abort'; id: number; save: boolean };

export type FromTrainer =
  | { type: 'answer'; id: number; answer: Calls[CallName]['answer'] }
  | { type: 'report'; id: number; report: Calls[CallName]['report'] }
  | { type: 'notice'; id: number; notice: Notice }
  | { type: 'error'; id: number; code: string; message: string; hint: string };
