/** @file Progress of long work: a bar with the time left on a terminal, plain lines otherwise. */

import { formatSeconds } from './format.ts';

export interface Progress {
  /** Shows how much of `total` is done. 100 % is shown by {@link Progress.finish} alone, when the work is checked. */
  update(done: number, total: number, detail?: string): void;
  /** Prints a line of its own; the bar goes on below it. */
  note(text: string): void;
  /** Ends the bar with a closing line. */
  finish(text: string): void;
}

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const BAR_CHARACTERS = 24;
/** A terminal is not repainted more often, in milliseconds. */
const REPAINT_MILLISECONDS = 100;
/** Without a terminal so many lines are printed at most, and never two within so many milliseconds. */
const PLAIN_LINES = 10;
const PLAIN_MILLISECONDS = 1000;

/** Starts a progress display. `silent` prints nothing, as `--json` needs it. */
export function startProgress(
  label: string,
  {
    silent,
    stream = process.stderr,
    now = Date.now,
  }: { silent: boolean; stream?: ProgressStream; now?: () => number },
): Progress {
  if (silent) return { update: () => undefined, note: () => undefined, finish: () => undefined };
  const started = now();
  let painted = stream.isTTY ? -Infinity : started;
  let reported = 0;
  const describe = (share: number, detail: string): string => {
    const elapsed = (now() - started) / 1000;
    const left = share > 0 && elapsed >= 1 ? `, ${formatSeconds((elapsed * (1 - share)) / share)} left` : '';
    return `${Math.min(99, Math.floor(share * 100))} %${detail && `, ${detail}`}${left}`;
  };
  const print = (text: string): void => {
    stream.write(`${stream.isTTY ? '\r\x1b[K' : ''}${text}\n`);
  };
  return {
    update: (done, total, detail = '') => {
      const share = total > 0 ? Math.min(1, done / total) : 0;
      if (stream.isTTY) {
        if (now() - painted < REPAINT_MILLISECONDS) return;
        painted = now();
        const filled = Math.floor(share * BAR_CHARACTERS);
        const bar = '█'.repeat(filled) + '░'.repeat(BAR_CHARACTERS - filled);
        const line = `${label} ${bar} ${describe(share, detail)}`;
        stream.write(`\r\x1b[K${line.slice(0, (stream.columns ?? 80) - 1)}`);
        return;
      }
      const reached = Math.floor(share * PLAIN_LINES);
      if (reached <= reported || now() - painted < PLAIN_MILLISECONDS) return;
      reported = reached;
      painted = now();
      stream.write(`${label}: ${describe(share, detail)}\n`);
    },
    note: print,
    finish: print,
  };
}
