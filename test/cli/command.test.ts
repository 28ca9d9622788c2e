import { Command } from 'commander';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { runs } from '../../main/cli/command.ts';
import { captureOutput } from './capture.ts';

const captured = captureOutput();

it('calls an interrupted command stopped, not a failure of the program', async () => {
  const listeners = process.listenerCount('SIGINT');
  const command = new Command().action(
    runs(z.object({}), (_, { interruption }) => {
      const signal = interruption();
      process.emit('SIGINT', 'SIGINT');
      signal.throwIfAborted();
    }),
  );
  await command.parseAsync([], { from: 'user' });
  expect(captured.error).toMatch(/^training\.stopped: The command was interrupted\. /);
  expect(process.exitCode).toBe(1);
  expect(process.listenerCount('SIGINT')).toBe(listeners);
});
