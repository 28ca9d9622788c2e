/** @file Tasks and suites by name, from the project's own files or the user's. */

import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parse as parseYaml } from 'yaml';
import type { z } from 'zod';

import { TributaryError } from '../../errors.ts';
import { resourcesFolder } from '../../resources.ts';
import { suiteSchema, taskSchema, type Suite, type Task } from './schema.ts';

/** One task, or the tasks of a suite. */
export interface FoundTasks {
  readonly name: string;
  readonly isSuite: boolean;
  readonly tasks: readonly Task[];
}

const ENDING = /\.ya?ml$/i;

/** Whether what is named is a file that describes a task or a suite. */
export function isTaskFile(name: string): boolean {
  return ENDING.test(name);
}

/** Whether a task or a suite of this name comes with the project. */
export function isKnownTask(name: string): boolean {
  return existsSync(taskPath(name)) || existsSync(suitePath(name));
}

/**
 * What a name of the catalogue or a file stands for. A suite's tasks are looked for beside its file and then in the
 * catalogue.
 * @throws TributaryError `task.unknown`, `task.invalid`, `file.not-found`
 */
export async function findTasks(nameOrFile: string): Promise<FoundTasks> {
  const path = isTaskFile(nameOrFile)
    ? nameOrFile
    : [taskPath(nameOrFile), suitePath(nameOrFile)].find((known) => existsSync(known));
  if (path === undefined) {
    throw new TributaryError('task.unknown', `There is no task, suite or file named ${nameOrFile}.`);
  }
  const read = await readDescription(path);
  if ('kind' in read) return { name: read.name, isSuite: false, tasks: [read] };
  const tasks = await Promise.all(
    read.tasks.map((name) => readMember(read, { name, folder: dirname(path) })),
  );
  return { name: read.name, isSuite: true, tasks };
}

async function readMember(suite: Suite, { name, folder }: { name: string; folder: string }): Promise<Task> {
  const path = [join(folder, `${name}.yaml`), taskPath(name)].find((candidate) => existsSync(candidate));
  const task = path === undefined ? null : await readDescription(path);
  if (task && 'kind' in task) return task;
  throw new TributaryError('task.unknown', `The suite ${suite.name} names ${name}, which is no task.`);
}

/** All that comes with the project, by name. */
export async function listTasks(): Promise<{ tasks: Task[]; suites: Suite[] }> {
  const all = await Promise.all(
    [taskPath('x'), suitePath('x')].map(dirname).flatMap((folder) =>
      readdirSync(folder)
        .filter(isTaskFile)
        .sort()
        .map((file) => readDescription(join(folder, file))),
    ),
  );
  return {
    tasks: all.flatMap((read) => ('kind' in read ? [read] : [])),
    suites: all.flatMap((read) => ('kind' in read ? [] : [read])),
  };
}

/** @throws TributaryError `task.invalid` */
async function readDescription(path: string): Promise<Task | Suite> {
  const text = await readFile(path, 'utf8');
  let data: unknown;
  try {
    data = parseYaml(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new TributaryError('task.invalid', `${basename(path)} is not YAML: ${reason}`, { cause });
  }
  const isSuite = typeof data === 'object' && data !== null && 'tasks' in data;
  return isSuite ? check(suiteSchema, data, path) : check(taskSchema, data, path);
}

function check<Schema extends z.ZodType>(schema: Schema, data: unknown, path: string): z.output<Schema> {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue.path.join('.');
  throw new TributaryError('task.invalid', `${basename(path)}${field && `, ${field}`}: ${issue.message}.`);
}

function taskPath(name: string): string {
  return join(resourcesFolder(), 'tasks', `${name}.yaml`);
}

function suitePath(name: string): string {
  return join(resourcesFolder(), 'tasks', 'suites', `${name}.yaml`);
}
