/** @file The training process: a child that owns the engine, so that a crash of it takes nothing else along. */

import { collectResultsWith, flushDenormals } from '../engine/graph-session.ts';
import { toTributaryError } from '../errors.ts';
import { collectGarbage } from '../garbage.ts';
import { listenToParent } from '../parent-program.ts';
import type { CallName, Calls, FromTrainer, ToTrainer } from './protocol.ts';
import type { Notice, Observer } from './observer.ts';
import type { StepReport } from './requests.ts';
import { Trainer } from './trainer.ts';

flushDenormals();

let trainer: Trainer | null = null;

function open(): Trainer {
  if (!trainer) throw new Error('no model is open');
  return trainer;
}

/**
 * Steps from one collection of garbage to the next, of which the first follows the first step, for which a graph was built:
 * left to itself, garbage grows by some tens of megabytes before it is collected.
 */
const STEPS_OF_GARBAGE = 32;

collectResultsWith(() => collectGarbage({ type: 'minor' }));

function collectingGarbage(observer: Observer<StepReport>): Observer<StepReport> {
  return {
    ...observer,
    report: (step) => {
      observer.report?.(step);
      if (step.step % STEPS_OF_GARBAGE === 1) collectGarbage();
    },
  };
}

type Handlers = {
  [Name in CallName]: (
    question: Calls[Name]['question'],
    observer: Observer<Calls[Name]['report']>,
  ) => Promise<Calls[Name]['answer']> | Calls[Name]['answer'];
};

const handlers: Handlers = {
  open: async (options) => {
    await trainer?.close();
    trainer = null;
    trainer = await Trainer.open(options);
    const { identity, precision, device, deviceReason } = trainer;
    return { identity, precision, device, deviceReason };
  },
  setAdapter: (adapter) => {
    open().setAdapter(adapter);
    return null;
  },
  startAdapter: ({ configuration, seed }) => {
    open().startAdapter(configuration, seed);
    return null;
  },
  loadAdapter: ({ folder }) => {
    open().loadAdapter(folder);
    return null;
  },
  saveAdapter: async ({ folder }) => {
    await open().saveAdapter(folder);
    return null;
  },
  saveModel: async ({ folder }) => {
    await open().saveModel(folder);
    return null;
  },
  setReference: (adapter) => {
    open().setReference(adapter);
    return null;
  },
  loadReference: ({ folder }) => {
    open().loadReference(folder);
    return null;
  },
  adapter: () => open().adapter,
  train: (request, observer) => open().train(request, collectingGarbage(observer)),
  evaluate: (request, observer) => open().evaluate(request, observer),
  evaluatePreferences: (request, observer) => open().evaluatePreferences(request, observer),
  scoreAnswers: (request, observer) => open().scoreAnswers(request, observer),
  answerPrompts: (request, observer) => open().answerPrompts(request, observer),
  generate: (request, observer) => open().generate(request, observer),
  costs: () => open().costs(),
  memory: () => process.resourceUsage().maxRSS * 1024,
};

const running = new Map<number, { readonly stop: AbortController; readonly finish: AbortController }>();

const send: (message: FromTrainer) => void = listenToParent((message) => receive(message as ToTrainer));

function receive(message: ToTrainer): void {
  if (message.type === 'abort') running.get(message.id)?.[message.save ? 'finish' : 'stop'].abort();
  else void answer(message);
}

async function answer(message: Extract<ToTrainer, { type: 'call' }>): Promise<void> {
  const { id, name, question } = message;
  const controllers = { stop: new AbortController(), finish: new AbortController() };
  running.set(id, controllers);
  try {
    const observer = {
      signal: controllers.stop.signal,
      finish: controllers.finish.signal,
      report: (report: Calls[CallName]['report']) => send({ type: 'report', id, report }),
      notice: (notice: Notice) => send({ type: 'notice', id, notice }),
    };
    // The union of calls keeps each question beside its own name.
    const handler = handlers[name] as (
      question: unknown,
      observer: Observer<unknown>,
    ) => Promise<Calls[CallName]['answer']>;
    send({ type: 'answer', id, answer: await handler(question, observer) });
  } catch (thrown) {
    const { code, message: text, hint } = toTributaryError(thrown);
    send({ type: 'error', id, code, message: text, hint });
  } finally {
    running.delete(id);
  }
}

// A terminal interrupts all of its processes at once, and a supervisor ends them so; what that means for the work,
// the caller says.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
