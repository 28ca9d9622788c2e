/** @file The tables of a site's database: the shapes of their rows, reading them and writing them. */

import type { Statement } from 'better-sqlite3';
import { z } from 'zod';
import type { SqliteDatabase } from '../database.ts';
import { publishedShape } from '../federation/broadcast.ts';
import { anyBytesShape } from '../federation/shapes.ts';
import type { BlobReference } from '../federation/shapes.ts';

const key = anyBytesShape;
export const reference = z.string().transform((text): BlobReference => {
  const [hash, size] = text.split(' ');
  return { hash, size: Number(size) };
});
export const spell = ({ hash, size }: BlobReference): string => `${hash} ${size}`;

export const membershipRow = z.object({
  number: z.int(),
  name: z.string(),
  federation: z.string(),
  site: z.string(),
  urls: z.string().transform((text) => z.array(z.string()).parse(JSON.parse(text))),
  x25519: key,
  ed25519: key,
  roster_version: z.int(),
  /** 0 once the site has left it. */
  member: z.int(),
});
export const runRow = z.object({
  run: z.string(),
  plan: z.string(),
  plan_hash: z.string(),
  state: z.enum(['proposed', 'approved', 'declined', 'completed', 'failed', 'cancelled']),
  reason: z.string(),
  dataset: z.string().nullable(),
  examples: z.int().nullable(),
  adapter: reference.nullable(),
  adapter_delta: z
    .string()
    .transform((text) => publishedShape.shape.delta.parse(JSON.parse(text)))
    .nullable(),
  /** 1 once the adapter has been fetched and kept. */
  saved: z.int(),
  amendment: z.string().nullable(),
  amendment_hash: z.string().nullable(),
  /** 1 once it is approved here. */
  amendment_approved: z.int(),
});
export const roundRow = z.object({
  run: z.string(),
  round: z.int(),
  base: reference,
  /** The hub's control variate; null where it is zero or there is none. */
  control: reference.nullable(),
  learning_rate: z.number(),
  phase: z.enum(['training', 'sending', 'committed', 'late', 'refused']),
  blob: reference.nullable(),
  examples: z.int().nullable(),
  loss: z.number().nullable(),
  metrics: z
    .string()
    .transform((text) => z.record(z.string(), z.number()).parse(JSON.parse(text)))
    .nullable(),
  aggregate: reference.nullable(),
});

export const keysRow = z.object({ generation: z.int(), pending: z.int() });
const trafficRow = z.object({
  sent: z.int(),
  updates: z.int(),
  scores: z.int(),
  answers: z.int(),
  progress: z.int(),
});

/** How a person has stopped a run; of one that is `finishing` the round under way is still sent, then it is `paused`. */
export const stopRow = z.object({ how: z.enum(['finishing', 'paused', 'discarded', 'declined']) });
export type Stop = z.infer<typeof stopRow>['how'];

/** A federation that this site belongs to, or has left, and the hub it has pinned. */
export type Membership = z.infer<typeof membershipRow>;
export type SiteRun = z.infer<typeof runRow>;
export type SiteRound = z.infer<typeof roundRow>;

/** What was sent: the rows that `where` chooses, together. */
export const trafficOf = (where: string): string =>
  `SELECT SUM(sent) AS sent, SUM(updates) AS updates, SUM(scores) AS scores, SUM(answers) AS answers,
     SUM(progress) AS progress FROM traffic ${where}`;
export const trafficShape = trafficRow.transform(({ sent, updates, scores, answers, progress }) => ({
  ...{ updates, scores, answers, progress },
  connection: sent - updates - scores - answers - progress,
}));

export interface Tables {
  readonly get: <T>(shape: z.ZodType<T>, sql: string, ...values: unknown[]) => T | null;
  readonly all: <T>(shape: z.ZodType<T>, sql: string, ...values: unknown[]) => T[];
  /** Changes something, within a transaction. */
  readonly run: (sql: string, ...values: unknown[]) => void;
}

export function tablesOf(database: SqliteDatabase): Tables {
  // The same few texts again and again, and preparing one takes longer than running it.
  const prepared = new Map<string, Statement>();
  const statement = (sql: string): Statement => {
    const known = prepared.get(sql) ?? database.prepare(sql);
    prepared.set(sql, known);
    return known;
  };
  return {
    get: (shape, sql, ...values) => {
      const row = statement(sql).get(...values);
      return row === undefined ? null : shape.parse(row);
    },
    all: (shape, sql, ...values) =>
      statement(sql)
        .all(...values)
        .map((row) => shape.parse(row)),
    run: (sql, ...values) => {
      if (!database.inTransaction) throw new TypeError('A change belongs in a transaction.');
      statement(sql).run(...values);
    },
  };
}
