/** @file The caller's side of the training process. */

import { startChild } from '../child-programs.ts';
import type { ChildProgram } from '../child-programs.ts';
import { isErrorCode, TributaryError } from '../errors.ts';
import type { CallName, Calls, FromTrainer, ToTrainer } from './protocol.ts';
import type { Notice, Observer } from './observer.ts';
import type { TrainerOptions } from './requests.ts';

interface Pending {
  // What belongs to a call of one name is typed where the call is made; here calls of all names lie together.
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly report: (report: unknown) => void;
  readonly notice: (notice: Notice) => void;
}

/** Runs a trainer in a process of its own. The caller never blocks; a crash rejects what was asked. */
export class TrainerProcess {
  readonly #child: ChildProgram;
  readonly #exited: Promise<void>;
  readonly #pending = new Map<number, Pending>();
  #calls = 0;
  #ended: TributaryError | null = null;
  #closing = false;

  constructor() {
    let markExited: () => void = () => undefined;
    this.#exited = new Promise((resolve) => (markExited = resolve));
    this.#child = startChild('training-process', {
      // The space for young objects, in MB, would grow to three times 16 and never be given back.
      flags: ['--max-semi-space-size=1'],
      onMessage: (message) => this.#receive(message as FromTrainer),
      onEnd: (how) => {
        this.#end(how);
        markExited();
      },
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Asks the process; one call of `train`, `evaluate` or `generate` at a time.
   * @throws TributaryError what the trainer threw, `training.stopped` when a signal aborts, or `engine.crashed` when
   * the process ended meanwhile
   */
  call<Name extends CallName>(
    name: Name,
    question: Calls[Name]['question'],
    observer: Observer<Calls[Name]['report']> = {},
  ): Promise<Calls[Name]['answer']> {
    if (this.#ended) return Promise.reject(this.#ended);
    const { signal, finish } = observer;
    if (signal?.aborted || finish?.aborted) {
      return Promise.reject(new TributaryError('training.stopped', 'The work was stopped before its start.'));
    }
    const id = this.#calls++;
    const stop = () => this.#send({ type: 'abort', id, save: false });
    const save = () => this.#send({ type: 'abort', id, save: true });
    return new Promise<Calls[Name]['answer']>((resolve, reject) => {
      this.#pending.set(id, {
        resolve: (answer) => resolve(answer as Calls[Name]['answer']),
        reject,
        report: (report) => observer.report?.(report as Calls[Name]['report']),
        notice: (notice) => observer.notice?.(notice),
      });
      this.#send({ type: 'call', id, name, question } as ToTrainer);
      signal?.addEventListener('abort', stop, { once: true });
      finish?.addEventListener('abort', save, { once: true });
    }).finally(() => {
      signal?.removeEventListener('abort', stop);
      finish?.removeEventListener('abort', save);
    });
  }

  /** Ends the process and waits for its end. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#closing = true;
    this.#child.leave();
    await this.#exited;
  }

  #send(message: ToTrainer): void {
    this.#child.send(message);
  }

  #receive(message: FromTrainer): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    if (message.type === 'report') {
      pending.report(message.report);
      return;
    }
    if (message.type === 'notice') {
      pending.notice(message.notice);
      return;
    }
    this.#pending.delete(message.id);
    if (message.type === 'answer') pending.resolve(message.answer);
    else {
      const code = isErrorCode(message.code) ? message.code : 'internal.unexpected';
      pending.reject(new TributaryError(code, message.message, { hint: message.hint }));
    }
  }

  #end(how: string): void {
    this.#ended ??= this.#closing
      ? new TributaryError('training.stopped', 'The training process was closed.')
      : new TributaryError('engine.crashed', `The training process ended unexpectedly (${how}).`);
    for (const { reject } of this.#pending.values()) reject(this.#ended);
    this.#pending.clear();
  }
}

/** Opens a model in a training process, works with it and ends the process, whatever happens. */
export async function withTrainer<T>(
  options: TrainerOptions,
  work: (trainer: TrainerProcess, opened: Calls['open']['answer']) => Promise<T>,
): Promise<T> {
  const trainer = new TrainerProcess();
  try {
    return await work(trainer, await trainer.call('open', options));
  } finally {
    await trainer.close();
  }
}
