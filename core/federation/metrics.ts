/** @file The numbers that a site may send beside the loss of a round, and what they are over a cohort. */

interface MetricRow {
  /** How the numbers of several sites become one: their sum, or their mean weighted by examples. */
  readonly over: 'sum' | 'mean';
  /** The message that it is sent with. */
  readonly sentWith: 'update' | 'score';
  /** Of pairs of answers alone. */
  readonly ofPairs?: true;
}

const rows = {
  supervisedTokens: { over: 'sum', sentWith: 'update' },
  skippedRows: { over: 'sum', sentWith: 'update' },
  /** Share of pairs whose chosen answer has the larger implicit reward, mean over a round's steps. */
  preferenceAccuracy: { over: 'mean', sentWith: 'update', ofPairs: true },
  /** Reward of the chosen answer less that of the rejected one, mean over a round's steps. */
  preferenceMargin: { over: 'mean', sentWith: 'update', ofPairs: true },
  /** Of an aggregate on rows that sites hold out: loss per supervised token, or of a pair. */
  heldOutLoss: { over: 'mean', sentWith: 'score' },
  heldOutAccuracy: { over: 'mean', sentWith: 'score', ofPairs: true },
  heldOutMargin: { over: 'mean', sentWith: 'score', ofPairs: true },
} satisfies Record<string, MetricRow>;

/** Name of a number in an update's `metrics`. */
export type MetricName = keyof typeof rows;
const NAMES = Object.keys(rows) as readonly MetricName[];
export const METRIC_NAMES: readonly string[] = NAMES;

/** Names of the numbers that a site measures for a message, where it trains on pairs or on answers. */
export function metricsSentWith(message: MetricRow['sentWith'], isOnPairs: boolean): string[] {
  return NAMES.filter((name) => {
    const row: MetricRow = rows[name];
    return row.sentWith === message && (isOnPairs || row.ofPairs !== true);
  });
}

export type Metrics = Readonly<Record<string, number>>;

/**
 * The metrics of a cohort. A mean counts the sites that sent the number, weighted by their examples; a number that
 * no site sent is left out, and so are names that this program does not know.
 */
export function metricsOfCohort(
  contributions: readonly { readonly examples: number | null; readonly metrics: Metrics | null }[],
): Partial<Record<MetricName, number>> {
  const found: Partial<Record<MetricName, number>> = {};
  for (const name of NAMES) {
    const { over } = rows[name];
    let sum = 0;
    let weights = 0;
    for (const { examples, metrics } of contributions) {
      const value = metrics?.[name];
      if (value === undefined) continue;
      const weight = over === 'mean' ? (examples ?? 0) : 1;
      sum += weight * value;
      weights += weight;
    }
    if (weights > 0) found[name] = over === 'mean' ? sum / weights : sum;
  }
  return found;
}
