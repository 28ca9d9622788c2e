/** @file The rows of a task: from the files that the user has, as many as are wanted. */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { readCsv } from '../../csv.ts';
import { TributaryError } from '../../errors.ts';
import { readJsonLines } from '../../jsonl.ts';
import { Random } from '../../random.ts';
import type { AskedTask, Task } from './schema.ts';

export interface Row {
  /** What `*` stood for in the file's name, with blanks for underscores; empty without one. */
  readonly group: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface TaskRows {
  /** What is asked, in the order of the files. */
  readonly rows: readonly Row[];
  /** Examples to show, by group. */
  readonly shots: ReadonlyMap<string, readonly Row[]>;
  /** Every row of the files that `where` lets through, also those that are not asked. */
  readonly all: readonly Row[];
  /** Lines that are no rows. */
  readonly broken: number;
}

export interface RowOptions {
  /** A folder in which the task's files are looked for, or one file that takes the place of all. */
  readonly data: string;
  /** Takes the place of the task's own limit. */
  readonly limit?: number;
  readonly seed?: number;
}

/** @throws TributaryError `file.not-found`, `data.empty`, `data.broken-line` */
export async function readTaskRows(task: Task, options: RowOptions): Promise<TaskRows> {
  const seed = options.seed ?? task.seed;
  const { rows: found, broken } = await readSource(task.rows, options.data);
  const all = found.filter(matching(task.rows.where));
  if (all.length === 0)
    throw new TributaryError('data.empty', `${options.data} holds no rows of ${task.name}.`);
  const groups = [...new Set(all.map(({ group }) => group))];
  const shots =
    task.kind === 'preference' || !task.fewShot
      ? new Map<string, readonly Row[]>()
      : drawShots(task, await poolOf(task, task.fewShot, { found, data: options.data }), { groups, seed });
  const shown = new Set([...shots.values()].flat());
  const rows = all.filter((row) => !shown.has(row));
  const limit = options.limit ?? task.limit ?? rows.length;
  return { rows: sample(rows, limit, [seed, task.name, 'rows']), shots, all, broken };
}

type FewShot = NonNullable<AskedTask['fewShot']>;

/** Rows that may be shown as examples: of files of their own, or of the task's, which are read already. */
async function poolOf(
  { rows }: AskedTask,
  { files, columns = rows.columns, where = rows.where }: FewShot,
  { found, data }: { found: readonly Row[]; data: string },
): Promise<readonly Row[]> {
  const own = files && !statSync(data).isFile();
  const pool = own ? (await readSource({ files, columns }, data)).rows : found;
  return pool.filter(matching(where));
}

function drawShots(
  { name, fewShot }: AskedTask,
  pool: readonly Row[],
  { groups, seed }: { groups: readonly string[]; seed: number },
): Map<string, readonly Row[]> {
  const { count = 0, draw } = fewShot ?? {};
  return new Map(
    groups.map((group) => {
      const own = pool.filter((row) => row.group === group);
      if (own.length < count) {
        const what = `${group === '' ? name : `${name} (${group})`} shows ${count} solved rows as examples`;
        throw new TributaryError('data.empty', `${what}, and there are only ${own.length}.`);
      }
      return [
        group,
        draw === 'first' ? own.slice(0, count) : sample(own, count, [seed, name, group, 'examples']),
      ];
    }),
  );
}

/** So many of the items, in their own order. */
function sample<Item>(
  items: readonly Item[],
  count: number,
  seedParts: readonly (string | number)[],
): Item[] {
  if (count >= items.length) return [...items];
  const drawn = new Set(new Random(...seedParts).permutation(items.length).slice(0, count));
  return items.filter((_, index) => drawn.has(index));
}

type Source = Pick<Task['rows'], 'files' | 'columns'>;

async function readSource(source: Source, data: string): Promise<{ rows: Row[]; broken: number }> {
  const rows: Row[] = [];
  let broken = 0;
  for (const { path, group } of find(source, data)) {
    for await (const fields of readFields(path, source.columns)) {
      if (fields === null) broken++;
      else rows.push({ group, fields });
    }
  }
  return { rows, broken };
}

function matching(where: Task['rows']['where'] = {}): (row: Row) => boolean {
  const wanted = Object.entries(where);
  return ({ fields }) => wanted.every(([field, value]) => String(fields[field]) === String(value));
}

/** The files of the first pattern that finds any. @throws TributaryError `file.not-found` */
function find({ files }: Source, data: string): { path: string; group: string }[] {
  if (!existsSync(data)) throw new TributaryError('file.not-found', `There is no ${data}.`);
  if (statSync(data).isFile()) return [{ path: data, group: '' }];
  for (const pattern of files) {
    const folder = join(data, dirname(pattern));
    const [before, after] = basename(pattern).split('*');
    if (after === undefined) {
      const path = join(data, pattern);
      if (existsSync(path)) return [{ path, group: '' }];
    } else if (existsSync(folder)) {
      const names = readdirSync(folder).filter(
        (file) =>
          file.length > before.length + after.length && file.startsWith(before) && file.endsWith(after),
      );
      const group = (file: string) =>
        file.slice(before.length, file.length - after.length).replaceAll('_', ' ');
      if (names.length > 0)
        return names.sort().map((file) => ({ path: join(folder, file), group: group(file) }));
    }
  }
  throw new TributaryError('file.not-found', `${data} holds none of ${files.join(', ')}.`);
}

/** The fields of each row, or null for what is none. */
async function* readFields(
  path: string,
  columns: readonly string[] | undefined,
): AsyncGenerator<Readonly<Record<string, unknown>> | null> {
  if (!path.toLowerCase().endsWith('.csv')) {
    for await (const line of readJsonLines(path)) yield 'record' in line ? line.record : null;
    return;
  }
  const records = await readCsv(path);
  const names = columns ?? records.shift() ?? [];
  for (const record of records) {
    yield record.length === names.length
      ? Object.fromEntries(names.map((name, at) => [name, record[at]]))
      : null;
  }
}
