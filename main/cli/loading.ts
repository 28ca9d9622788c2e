/** @file Loads the files of commands: of one that is named alone, for all of them take most of a second. */

import type { Command } from 'commander';

/** Loads a file that registers a command; `words` are those after the command's name. */
type Loader = () => Promise<{
  register(program: Command, words: readonly string[]): void | Promise<void>;
}>;

/** Registers the command of `files` that the words name, or all of them where they name none. */
export async function registerNamed(
  program: Command,
  files: Readonly<Record<string, Loader>>,
  words: readonly string[],
): Promise<void> {
  const at = words.findIndex((word) => !word.startsWith('-'));
  const isKnown = at >= 0 && Object.hasOwn(files, words[at]);
  const loaders = isKnown ? [files[words[at]]] : Object.values(files);
  for (const load of loaders) await (await load()).register(program, words.slice(at + 1));
}
