/** @file Programs of the build as Electron's utility processes: the executable is no Node that could be forked. */

import type { Electron } from './electron.ts';
import type { StartChild } from '../../core/child-programs.ts';
import type { FromElectron } from '../../core/parent-program.ts';

export function utilityPrograms(utilityProcess: Electron['utilityProcess']): StartChild {
  return (path, { words = [], environment, flags = [], silent = false, onMessage, onEnd }) => {
    const child = utilityProcess.fork(path, [...words], {
      execArgv: [...flags],
      stdio: silent ? 'ignore' : 'inherit',
      serviceName: 'Tributary engine',
      ...(environment !== undefined && { env: environment }),
    });
    let hasEnded = false;
    let trouble: string | null = null;
    const send = (data: FromElectron): void => {
      if (!hasEnded) child.postMessage(data);
    };
    child.on('message', onMessage);
    // The process ends after it.
    child.on('error', (type, location) => (trouble = `${type} at ${location}`));
    child.on('exit', (code) => {
      hasEnded = true;
      onEnd(trouble ?? `status ${code}`);
    });
    return {
      get pid() {
        return child.pid;
      },
      send: (message) => send({ message }),
      leave: () => send({ leave: true }),
    };
  };
}
