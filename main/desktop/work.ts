/** @file What the site does, followed from the bridge's events: whether it computes, what it waits for, what has ended. */

import type { EventBody } from '../../core/bridge/contract.ts';
import type { Dispatcher } from '../../core/bridge/dispatch.ts';

type SiteStatus = Extract<EventBody<'status'>, { role: 'site' }>['status'];

export interface Work {
  /** Null before the site has told anything. */
  readonly status: SiteStatus | null;
  /** Whether this machine trains now, for the federation or alone. */
  readonly training: boolean;
}

/** Something whose end a person may have waited for. */
export interface Ended {
  /** A run's name, or a model's. */
  readonly subject: string;
  readonly how: 'completed' | 'failed';
}

export interface WorkListeners {
  /** Told of every change, and at once. */
  readonly onWork: (work: Work) => void;
  readonly onEnd: (ended: Ended) => void;
  /** A run has come for which a person has to decide. */
  readonly onWait: (run: string) => void;
}

/** Runs that have begun and not ended. */
const OPEN: ReadonlySet<string> = new Set(['proposed', 'approved']);
/** Tasks that compute for long. */
const LONG: ReadonlySet<string> = new Set(['alone', 'measure']);

/** Runs that a person has to decide on. */
function waitingIn(status: SiteStatus | null): string[] {
  return (status?.federations ?? []).flatMap(({ state, run }) =>
    state === 'awaiting-approval' && run !== null ? [run] : [],
  );
}

/**
 * @param first what the site says before anything changes; null while it is blocked
 * @returns how to be told of a status that comes with no event
 */
export function followWork(
  dispatcher: Pick<Dispatcher, 'listen'>,
  first: SiteStatus | null,
  { onWork, onEnd, onWait }: WorkListeners,
): (status: SiteStatus) => void {
  let status = first;
  const tasks = new Set<string>();
  const tell = (): void => onWork({ status, training: status?.state === 'working' || tasks.size > 0 });

  function takeStatus(next: SiteStatus): void {
    const before = new Map(status?.runs.map(({ id, state }) => [id, state]));
    const waited = waitingIn(status);
    status = next;
    for (const { id, state } of next.runs) {
      const was = before.get(id);
      if (was === undefined || !OPEN.has(was)) continue;
      if (state === 'completed' || state === 'failed') onEnd({ subject: id, how: state });
    }
    for (const run of waitingIn(next)) if (!waited.includes(run)) onWait(run);
    tell();
  }

  function takeTask({ task, kind, subject, state }: EventBody<'task'>): void {
    if (!LONG.has(kind)) return;
    const wasRunning = tasks.has(task);
    if (state === 'running') tasks.add(task);
    else tasks.delete(task);
    if (wasRunning && kind === 'alone') {
      if (state === 'done') onEnd({ subject, how: 'completed' });
      if (state === 'failed') onEnd({ subject, how: 'failed' });
    }
    tell();
  }

  dispatcher.listen((event, body) => {
    if (event === 'task') takeTask(body as EventBody<'task'>);
    if (event !== 'status') return;
    const told = body as EventBody<'status'>;
    if (told.role === 'site') takeStatus(told.status);
  });
  tell();
  return takeStatus;
}
