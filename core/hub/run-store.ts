/** @file All SQL about runs, rounds and what sites sent for them. Nothing here decides anything. */

import { z } from 'zod';
import { publishedShape } from '../federation/broadcast.ts';
import type { Published } from '../federation/broadcast.ts';
import type { BlobReference } from '../federation/shapes.ts';
import type {
  Answer,
  Contribution,
  RoundPhase,
  RoundRecord,
  RunRecord,
  RunState,
  Traffic,
} from './records.ts';
import type { Store } from './store.ts';

interface RunRow {
  readonly id: string;
  readonly plan: string;
  readonly plan_hash: string;
  readonly configuration: string;
  readonly state: RunState;
  readonly reason: string;
  readonly adapter_hash: string | null;
  readonly adapter_size: number | null;
  readonly adapter_delta: string | null;
}

interface RoundRow {
  readonly run: string;
  readonly number: number;
  readonly phase: RoundPhase;
  readonly base_hash: string;
  readonly base_size: number;
  readonly base_delta: string | null;
  readonly control: string | null;
  readonly state: string;
  readonly seconds: number;
  readonly cohort: string | null;
  readonly loss: number | null;
  readonly aggregate_hash: string | null;
  readonly aggregate_size: number | null;
  readonly ledger_index: number | null;
}

type ContributionRow = Omit<Contribution, 'metrics'> & { readonly metrics: string | null };

const stateShape = z.record(z.string(), z.string());
const metricsShape = z.record(z.string(), z.number());
const controlShape = publishedShape
  .extend({ delta: publishedShape.shape.delta.nullable() })
  .transform(({ delta, ...whole }): Published => ({ ...whole, ...(delta && { delta }) }));
const cohortShape = z.array(z.string());

function deltaOf(text: string | null): Pick<Published, 'delta'> {
  return text === null ? {} : { delta: publishedShape.shape.delta.parse(JSON.parse(text)) };
}

function reference(hash: string | null, size: number | null): BlobReference | null {
  return hash === null || size === null ? null : { hash, size };
}

function runOf(row: RunRow): RunRecord {
  const { id, plan, configuration, state, reason } = row;
  const whole = reference(row.adapter_hash, row.adapter_size);
  const adapter = whole && { ...whole, ...deltaOf(row.adapter_delta) };
  return { id, plan, planHash: row.plan_hash, configuration, state, reason, adapter };
}

function roundOf(row: RoundRow): RoundRecord {
  const { run, number, phase, seconds, loss } = row;
  return {
    run,
    number,
    phase,
    seconds,
    loss,
    base: { hash: row.base_hash, size: row.base_size, ...deltaOf(row.base_delta) },
    control: row.control === null ? null : controlShape.parse(JSON.parse(row.control)),
    state: stateShape.parse(JSON.parse(row.state)),
    cohort: row.cohort === null ? null : cohortShape.parse(JSON.parse(row.cohort)),
    aggregate: reference(row.aggregate_hash, row.aggregate_size),
    ledgerIndex: row.ledger_index,
  };
}

export type RunStore = ReturnType<typeof openRunStore>;

/** How a published file follows from another, as JSON; null where it does not. */
const DELTA = `CASE WHEN delta_hash IS NULL THEN NULL
  ELSE json_object('from', delta_from, 'hash', delta_hash, 'size', delta_size) END`;
const ROUNDS = `SELECT round.*,
    (SELECT ${DELTA} FROM broadcast
     WHERE broadcast.run = round.run AND round = number AND part = 'weights' AND hash = base_hash) AS base_delta,
    (SELECT json_object('hash', hash, 'size', size, 'delta', json(${DELTA}))
     FROM broadcast WHERE broadcast.run = round.run AND round = number AND part = 'control') AS control
  FROM round`;
const RUNS = `SELECT run.*, (SELECT ${DELTA} FROM broadcast
     WHERE broadcast.run = run.id AND part = 'weights' AND hash = adapter_hash
     ORDER BY round DESC LIMIT 1) AS adapter_delta
  FROM run`;

/** Statements over the tables `run`, `answer`, `round`, `broadcast`, `contribution`, `phase`, `traffic`, `countersignature`, `offer`. */
export function openRunStore({ database }: Pick<Store, 'database'>) {
  const insertRun = database.prepare(
    `INSERT INTO run (id, number, plan, plan_hash, configuration, state)
     VALUES (@id, @number, @plan, @planHash, @configuration, 'proposed')`,
  );
  const countRuns = database.prepare<[], { count: number }>('SELECT count(*) AS count FROM run');
  const oneRun = database.prepare<[string], RunRow>(`${RUNS} WHERE id = ?`);
  const everyRun = database.prepare<[], RunRow>(`${RUNS} ORDER BY number`);
  const setRunState = database.prepare('UPDATE run SET state = ?, reason = ? WHERE id = ?');
  const setRunAdapter = database.prepare('UPDATE run SET adapter_hash = ?, adapter_size = ? WHERE id = ?');

  const answers = database.prepare<[string], Omit<Answer, 'approved'> & { approved: number }>(
    'SELECT site, approved, examples, code, reason FROM answer WHERE run = ? ORDER BY site',
  );
  const putAnswer = database.prepare(
    `INSERT INTO answer (run, site, approved, examples, code, reason)
     VALUES (@run, @site, @approved, @examples, @code, @reason)
     ON CONFLICT (run, site) DO UPDATE SET approved = excluded.approved, examples = excluded.examples,
       code = excluded.code, reason = excluded.reason`,
  );

  const insertRound = database.prepare(
    `INSERT INTO round (run, number, phase, base_hash, base_size, state)
     VALUES (@run, @number, 'collecting', @hash, @size, @state)`,
  );
  const lastRound = database.prepare<[string], RoundRow>(
    `${ROUNDS} WHERE round.run = ? ORDER BY number DESC LIMIT 1`,
  );
  const oneRound = database.prepare<[string, number], RoundRow>(
    `${ROUNDS} WHERE round.run = ? AND number = ?`,
  );
  const everyRound = database.prepare<[string], RoundRow>(`${ROUNDS} WHERE round.run = ? ORDER BY number`);
  const putBroadcast = database.prepare(
    `INSERT OR REPLACE INTO broadcast (run, round, part, hash, size, delta_from, delta_hash, delta_size)
     VALUES (@run, @round, @part, @hash, @size, @deltaFrom, @deltaHash, @deltaSize)`,
  );
  const setSeconds = database.prepare('UPDATE round SET seconds = ? WHERE run = ? AND number = ?');
  const putPhaseSeconds = database.prepare(
    `INSERT INTO phase (run, round, phase, seconds) VALUES (?, ?, ?, ?)
     ON CONFLICT (run, round, phase) DO UPDATE SET seconds = excluded.seconds`,
  );
  const phaseSeconds = database.prepare<[string, number], { phase: string; seconds: number }>(
    'SELECT phase, seconds FROM phase WHERE run = ? AND round = ? ORDER BY rowid',
  );
  const setPhase = database.prepare('UPDATE round SET phase = ?, cohort = ? WHERE run = ? AND number = ?');
  const setClosed = database.prepare(
    `UPDATE round SET phase = 'closed', loss = @loss, aggregate_hash = @hash, aggregate_size = @size,
       ledger_index = @ledgerIndex WHERE run = @run AND number = @number`,
  );

  const contributions = database.prepare<[string, number], ContributionRow>(
    `SELECT site, state, hash, examples, loss, metrics, code, reason FROM contribution
     WHERE run = ? AND round = ? ORDER BY site`,
  );
  const putContribution = database.prepare(
    `INSERT INTO contribution (run, round, site, state, hash, examples, loss, metrics, code, reason)
     VALUES (@run, @round, @site, @state, @hash, @examples, @loss, @metrics, @code, @reason)
     ON CONFLICT (run, round, site) DO UPDATE SET state = excluded.state, hash = excluded.hash,
       examples = excluded.examples, loss = excluded.loss, metrics = excluded.metrics,
       code = excluded.code, reason = excluded.reason`,
  );
  const dropContribution = database.prepare(
    'DELETE FROM contribution WHERE run = ? AND round = ? AND site = ?',
  );

  const traffic = database.prepare<[string, number], Traffic>(
    'SELECT site, up, down FROM traffic WHERE run = ? AND round = ? ORDER BY site',
  );
  const addTraffic = database.prepare(
    `INSERT INTO traffic (run, round, site, up, down) VALUES (@run, @round, @site, @up, @down)
     ON CONFLICT (run, round, site) DO UPDATE SET up = up + excluded.up, down = down + excluded.down`,
  );

  const countersigned = database.prepare<[number, string], { found: 1 }>(
    'SELECT 1 AS found FROM countersignature WHERE position = ? AND site = ?',
  );
  const aggregateAt = database.prepare<[number], { found: 1 }>(
    'SELECT 1 AS found FROM round WHERE ledger_index = ?',
  );
  const addCountersignature = database.prepare('INSERT INTO countersignature (position, site) VALUES (?, ?)');

  const offerOf = database.prepare<[string], BlobReference>('SELECT hash, size FROM offer WHERE site = ?');
  const everyOffer = database.prepare<[], BlobReference>('SELECT hash, size FROM offer');
  const putOffer = database.prepare(
    `INSERT INTO offer (site, hash, size) VALUES (@site, @hash, @size)
     ON CONFLICT (site) DO UPDATE SET hash = excluded.hash, size = excluded.size`,
  );

  const dropOffer = database.prepare('DELETE FROM offer WHERE site = ?');

  const mapOptional = <R, T>(row: R | undefined, map: (row: R) => T): T | null =>
    row === undefined ? null : map(row);

  return {
    countRuns: (): number => countRuns.get()?.count ?? 0,
    insertRun(run: Pick<RunRecord, 'id' | 'plan' | 'planHash' | 'configuration'> & { number: number }) {
      insertRun.run(run);
    },
    run: (id: string) => mapOptional(oneRun.get(id), runOf),
    /** In the order of their proposal. */
    runs: () => everyRun.all().map(runOf),
    setRunState: (id: string, state: RunState, reason: string) => void setRunState.run(state, reason, id),
    setRunAdapter: (id: string, { hash, size }: BlobReference) => void setRunAdapter.run(hash, size, id),

    answers: (run: string): Answer[] =>
      answers.all(run).map((row) => ({ ...row, approved: row.approved === 1 })),
    putAnswer(run: string, answer: Answer) {
      putAnswer.run({ run, ...answer, approved: answer.approved ? 1 : 0 });
    },

    insertRound(round: Pick<RoundRecord, 'run' | 'number' | 'base' | 'state'>) {
      const { run, number, base, state } = round;
      const { hash, size } = base;
      insertRound.run({ run, number, hash, size, state: JSON.stringify(state) });
    },
    /** What the sites receive for a round, which may begin later, or for the end of the run after the last one. */
    putBroadcast(run: string, round: number, parts: { base: Published; control: Published | null }) {
      for (const [part, published] of Object.entries({ weights: parts.base, control: parts.control })) {
        if (published === null) continue;
        const { hash, size, delta } = published;
        const [deltaFrom, deltaHash, deltaSize] = [
          delta?.from ?? null,
          delta?.hash ?? null,
          delta?.size ?? null,
        ];
        putBroadcast.run({ run, round, part, hash, size, deltaFrom, deltaHash, deltaSize });
      }
    },
    currentRound: (run: string) => mapOptional(lastRound.get(run), roundOf),
    round: (run: string, number: number) => mapOptional(oneRound.get(run, number), roundOf),
    rounds: (run: string) => everyRound.all(run).map(roundOf),
    setSeconds({ run, number }: Pick<RoundRecord, 'run' | 'number'>, seconds: number) {
      setSeconds.run(seconds, run, number);
    },
    setPhase({ run, number }: RoundRecord, phase: RoundPhase, cohort: readonly string[] | null) {
      setPhase.run(phase, cohort === null ? null : JSON.stringify(cohort), run, number);
    },
    putPhaseSeconds({ run, number }: RoundRecord, phase: RoundPhase, seconds: number) {
      putPhaseSeconds.run(run, number, phase, seconds);
    },

    /** Seconds of the phases that are over, by phase. */
    phaseSeconds: (run: string, number: number): Record<string, number> =>
      Object.fromEntries(phaseSeconds.all(run, number).map(({ phase, seconds }) => [phase, seconds])),

    setClosed(
      { run, number }: RoundRecord,
      result: { aggregate: BlobReference; loss: number; ledgerIndex: number },
    ) {
      const { aggregate, loss, ledgerIndex } = result;
      setClosed.run({ run, number, loss, ledgerIndex, ...aggregate });
    },

    contributions: (run: string, round: number): Contribution[] =>
      contributions.all(run, round).map((row) => ({
        ...row,
        metrics: row.metrics === null ? null : metricsShape.parse(JSON.parse(row.metrics)),
      })),
    putContribution({ run, number }: RoundRecord, contribution: Contribution) {
      const metrics = contribution.metrics === null ? null : JSON.stringify(contribution.metrics);
      putContribution.run({ run, round: number, ...contribution, metrics });
    },
    dropContribution({ run, number }: RoundRecord, site: string) {
      dropContribution.run(run, number, site);
    },

    traffic: (run: string, round: number) => traffic.all(run, round),
    addTraffic({ run, number }: RoundRecord, entry: Traffic) {
      addTraffic.run({ run, round: number, ...entry });
    },

    /** Whether the ledger's entry at this position is a round's aggregate. */
    isAggregate: (position: number) => aggregateAt.get(position) !== undefined,
    isCountersigned: (position: number, site: string) => countersigned.get(position, site) !== undefined,
    addCountersignature: (position: number, site: string) => void addCountersignature.run(position, site),

    offerOf: (site: string) => offerOf.get(site) ?? null,
    offers: () => everyOffer.all(),
    dropOffer: (site: string) => void dropOffer.run(site),
    putOffer: (site: string, { hash, size }: BlobReference) => void putOffer.run({ site, hash, size }),
  };
}
