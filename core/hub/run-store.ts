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
  Score,
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
  readonly paused: string | null;
  readonly deadline: number | null;
  readonly amendment: string | null;
  readonly amendment_hash: string | null;
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
  readonly selected: string | null;
  readonly next_state: string | null;
  readonly scorers: string | null;
  readonly scoring_from: number | null;
}

type ContributionRow = Omit<Contribution, 'metrics' | 'late'> & {
  readonly metrics: string | null;
  readonly late_from: number | null;
  readonly late_base: string | null;
};
type ScoreRow = Omit<Score, 'metrics'> & { readonly metrics: string };
type AnswerRow = Omit<Answer, 'approved'> & { readonly approved: number };

const stateShape = z.record(z.string(), z.string());
const metricsShape = z.record(z.string(), z.number());
const controlShape = publishedShape
  .extend({ delta: publishedShape.shape.delta.nullable() })
  .transform(({ delta, ...whole }): Published => ({ ...whole, ...(delta && { delta }) }));
const namesShape = z.array(z.string());

function deltaOf(text: string | null): Pick<Published, 'delta'> {
  return text === null ? {} : { delta: publishedShape.shape.delta.parse(JSON.parse(text)) };
}

function reference(hash: string | null, size: number | null): BlobReference | null {
  return hash === null || size === null ? null : { hash, size };
}

function runOf(row: RunRow): RunRecord {
  const { id, plan, configuration, state, reason, paused, deadline } = row;
  const amendment =
    row.amendment === null || row.amendment_hash === null
      ? null
      : { plan: row.amendment, planHash: row.amendment_hash };
  const whole = reference(row.adapter_hash, row.adapter_size);
  return {
    id,
    plan,
    planHash: row.plan_hash,
    configuration,
    state,
    reason,
    adapter: whole && { ...whole, ...deltaOf(row.adapter_delta) },
    paused,
    deadline,
    amendment,
  };
}

const namesOf = (text: string | null): string[] | null =>
  text === null ? null : namesShape.parse(JSON.parse(text));
const spellNames = (names: readonly string[] | null): string | null =>
  names === null ? null : JSON.stringify(names);
const answerOf = (row: AnswerRow): Answer => ({ ...row, approved: row.approved === 1 });
const contributionOf = ({ late_from: from, late_base: base, ...row }: ContributionRow): Contribution => ({
  ...row,
  metrics: row.metrics === null ? null : metricsShape.parse(JSON.parse(row.metrics)),
  late: from === null || base === null ? null : { round: from, base },
});

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
    cohort: namesOf(row.cohort),
    aggregate: reference(row.aggregate_hash, row.aggregate_size),
    ledgerIndex: row.ledger_index,
    selected: namesOf(row.selected),
    nextState: row.next_state === null ? null : stateShape.parse(JSON.parse(row.next_state)),
    scorers: namesOf(row.scorers),
    scoringFrom: row.scoring_from,
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

/** Statements over every table that is about runs. */
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

  const setPaused = database.prepare('UPDATE run SET paused = ? WHERE id = ?');
  const setDeadline = database.prepare('UPDATE run SET deadline = ? WHERE id = ?');
  const setPlan = database.prepare(
    `UPDATE run SET plan = @plan, plan_hash = @planHash, amendment = NULL, amendment_hash = NULL WHERE id = @run`,
  );
  const setAmendment = database.prepare(
    'UPDATE run SET amendment = @plan, amendment_hash = @planHash WHERE id = @run',
  );

  const ANSWERS = 'SELECT site, approved, examples, code, reason FROM answer WHERE run = ?';
  const answers = database.prepare<[string], AnswerRow>(`${ANSWERS} ORDER BY site`);
  const oneAnswer = database.prepare<[string, string], AnswerRow>(`${ANSWERS} AND site = ?`);
  const declines = database.prepare<[string], AnswerRow>(`${ANSWERS} AND approved = 0 ORDER BY site`);
  const approvedSites = database
    .prepare<[string], string>(
      `SELECT site FROM answer JOIN member USING (site)
       WHERE run = ? AND approved = 1 AND revoked IS NULL ORDER BY site`,
    )
    .pluck();
  const forgetAnswers = database.prepare('DELETE FROM answer WHERE run = ?');
  const AMENDMENT_ANSWERS =
    'SELECT site, approved, examples, code, reason FROM amendment_answer WHERE run = ?';
  const amendmentAnswers = database.prepare<[string], AnswerRow>(`${AMENDMENT_ANSWERS} ORDER BY site`);
  const amendmentAnswer = database.prepare<[string, string], AnswerRow>(`${AMENDMENT_ANSWERS} AND site = ?`);
  const putAmendmentAnswer = database.prepare(
    `INSERT OR REPLACE INTO amendment_answer (run, site, approved, examples, code, reason)
     VALUES (@run, @site, @approved, @examples, @code, @reason)`,
  );
  const forgetAmendmentAnswers = database.prepare('DELETE FROM amendment_answer WHERE run = ?');
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
  const broadcastFiles = database.prepare<[string, number], { hash: string; delta_hash: string | null }>(
    'SELECT hash, delta_hash FROM broadcast WHERE run = ? AND round = ?',
  );
  const weightsOf = database.prepare<[string, number], { published: string }>(
    `SELECT json_object('hash', hash, 'size', size, 'delta', json(${DELTA})) AS published
     FROM broadcast WHERE run = ? AND round = ? AND part = 'weights'`,
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
  const setSelected = database.prepare('UPDATE round SET selected = ? WHERE run = ? AND number = ?');
  const setAggregate = database.prepare(
    `UPDATE round SET phase = @phase, loss = @loss, aggregate_hash = @hash, aggregate_size = @size,
       ledger_index = @ledgerIndex, next_state = @nextState, scorers = @scorers, scoring_from = seconds
     WHERE run = @run AND number = @number`,
  );

  const CONTRIBUTIONS = `SELECT site, state, hash, examples, loss, metrics, code, reason, late_from,
       (SELECT base_hash FROM round WHERE round.run = contribution.run AND number = late_from) AS late_base
     FROM contribution WHERE run = ? AND round = ?`;
  const contributions = database.prepare<[string, number], ContributionRow>(`${CONTRIBUTIONS} ORDER BY site`);
  const oneContribution = database.prepare<[string, number, string], ContributionRow>(
    `${CONTRIBUTIONS} AND site = ?`,
  );
  const contributionStates = database.prepare<[string, number], Pick<Contribution, 'site' | 'state'>>(
    'SELECT site, state FROM contribution WHERE run = ? AND round = ? ORDER BY site',
  );
  const putContribution = database.prepare(
    `INSERT INTO contribution (run, round, site, state, hash, examples, loss, metrics, code, reason, late_from)
     VALUES (@run, @round, @site, @state, @hash, @examples, @loss, @metrics, @code, @reason, @lateFrom)
     ON CONFLICT (run, round, site) DO UPDATE SET state = excluded.state, hash = excluded.hash,
       examples = excluded.examples, loss = excluded.loss, metrics = excluded.metrics,
       code = excluded.code, reason = excluded.reason, late_from = excluded.late_from`,
  );
  const dropContribution = database.prepare(
    'DELETE FROM contribution WHERE run = ? AND round = ? AND site = ?',
  );

  const scores = database.prepare<[string, number], ScoreRow>(
    'SELECT site, examples, metrics, reason FROM score WHERE run = ? AND round = ? ORDER BY site',
  );
  const putScore = database.prepare(
    `INSERT OR REPLACE INTO score (run, round, site, examples, metrics, reason)
     VALUES (@run, @round, @site, @examples, @metrics, @reason)`,
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

    /** Null: the run goes on. */
    setPaused: (id: string, reason: string | null) => void setPaused.run(reason, id),
    setDeadline: (id: string, seconds: number) => void setDeadline.run(seconds, id),
    /** Asks for a plan with more rounds; what was answered to another one is forgotten. */
    amend(run: string, amendment: { plan: string; planHash: string }) {
      forgetAmendmentAnswers.run(run);
      setAmendment.run({ run, ...amendment });
    },
    /** The amended plan takes the place of the plan, and the answers to it those of the plan. */
    adoptAmendment(run: string, amendment: { plan: string; planHash: string }) {
      forgetAnswers.run(run);
      for (const answer of amendmentAnswers.all(run)) putAnswer.run({ run, ...answer });
      forgetAmendmentAnswers.run(run);
      setPlan.run({ run, ...amendment });
    },
    amendmentAnswers: (run: string): Answer[] => amendmentAnswers.all(run).map(answerOf),
    amendmentAnswer: (run: string, site: string) => mapOptional(amendmentAnswer.get(run, site), answerOf),
    putAmendmentAnswer(run: string, answer: Answer) {
      putAmendmentAnswer.run({ run, ...answer, approved: answer.approved ? 1 : 0 });
    },

    answers: (run: string): Answer[] => answers.all(run).map(answerOf),
    answer: (run: string, site: string) => mapOptional(oneAnswer.get(run, site), answerOf),
    declines: (run: string): Answer[] => declines.all(run).map(answerOf),
    /** Members that have approved the run, in the order of their names. */
    approvedSites: (run: string): string[] => approvedSites.all(run),
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
    /** Hashes of all that sites receive for a round, whether it has begun or not. */
    broadcastFiles: (run: string, round: number): string[] =>
      broadcastFiles
        .all(run, round)
        .flatMap(({ hash, delta_hash: delta }) => (delta === null ? [hash] : [hash, delta])),
    /** What a round, begun or not, or the end of the run starts from. */
    weightsOf: (run: string, round: number): Published | null =>
      mapOptional(weightsOf.get(run, round), ({ published }) => controlShape.parse(JSON.parse(published))),
    currentRound: (run: string) => mapOptional(lastRound.get(run), roundOf),
    round: (run: string, number: number) => mapOptional(oneRound.get(run, number), roundOf),
    rounds: (run: string) => everyRound.all(run).map(roundOf),
    setSeconds({ run, number }: Pick<RoundRecord, 'run' | 'number'>, seconds: number) {
      setSeconds.run(seconds, run, number);
    },
    setPhase({ run, number }: RoundRecord, phase: RoundPhase, cohort: readonly string[] | null) {
      setPhase.run(phase, spellNames(cohort), run, number);
    },
    putPhaseSeconds({ run, number }: RoundRecord, phase: RoundPhase, seconds: number) {
      putPhaseSeconds.run(run, number, phase, seconds);
    },

    /** Seconds of the phases that are over, by phase. */
    phaseSeconds: (run: string, number: number): Record<string, number> =>
      Object.fromEntries(phaseSeconds.all(run, number).map(({ phase, seconds }) => [phase, seconds])),

    setSelected({ run, number }: Pick<RoundRecord, 'run' | 'number'>, names: readonly string[] | null) {
      setSelected.run(spellNames(names), run, number);
    },
    /** What the round has led to. With scorers it waits for their scores, else it is closed. */
    setAggregate(
      { run, number }: RoundRecord,
      result: Pick<RoundRecord, 'scorers'> & {
        aggregate: BlobReference;
        loss: number;
        ledgerIndex: number;
        nextState: Readonly<Record<string, string>>;
      },
    ) {
      const { aggregate, loss, ledgerIndex, nextState, scorers } = result;
      setAggregate.run({
        run,
        number,
        loss,
        ledgerIndex,
        ...aggregate,
        phase: scorers === null ? 'closed' : 'scoring',
        nextState: JSON.stringify(nextState),
        scorers: spellNames(scorers),
      });
    },

    contributions: (run: string, round: number): Contribution[] =>
      contributions.all(run, round).map(contributionOf),
    contribution: (run: string, round: number, site: string) =>
      mapOptional(oneContribution.get(run, round, site), contributionOf),
    /** Of each site that has sent something, whether it counts. */
    contributionStates: (run: string, round: number) => contributionStates.all(run, round),
    putContribution({ run, number }: RoundRecord, { late, ...contribution }: Contribution) {
      const metrics = contribution.metrics === null ? null : JSON.stringify(contribution.metrics);
      putContribution.run({ run, round: number, ...contribution, metrics, lateFrom: late?.round ?? null });
    },
    dropContribution({ run, number }: RoundRecord, site: string) {
      dropContribution.run(run, number, site);
    },

    scores: (run: string, round: number): Score[] =>
      scores.all(run, round).map((row) => ({ ...row, metrics: metricsShape.parse(JSON.parse(row.metrics)) })),
    putScore({ run, number }: RoundRecord, { metrics, ...score }: Score) {
      putScore.run({ run, round: number, ...score, metrics: JSON.stringify(metrics) });
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
