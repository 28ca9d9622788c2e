/** @file Accuracy and F1 of predicted labels. */

export interface LabelScore {
  readonly label: string;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** Items whose true label this is. */
  readonly support: number;
}

export interface Classification {
  readonly accuracy: number;
  /** Plain mean of the labels' F1. */
  readonly macroF1: number;
  /** Mean of the labels' F1, weighted by support. */
  readonly weightedF1: number;
  readonly microF1: number;
  /** One row a label: the sorted union of true and predicted labels. */
  readonly labels: readonly LabelScore[];
  /** Counts, rows by true and columns by predicted label. */
  readonly confusion: readonly (readonly number[])[];
}

/** Compares predictions with the truth, item by item. A ratio without a denominator counts as 0. */
export function classify(truth: readonly string[], predicted: readonly string[]): Classification {
  const names = [...new Set([...truth, ...predicted])].sort((a, b) => (a < b ? -1 : 1));
  const position = new Map(names.map((name, index) => [name, index]));
  const at = (name: string): number => position.get(name) ?? -1;
  const confusion = names.map(() => names.map(() => 0));
  truth.forEach((label, item) => confusion[at(label)][at(predicted[item])]++);

  const labels = names.map((label, index): LabelScore => {
    const hits = confusion[index][index];
    const support = sum(confusion[index]);
    const claimed = sum(confusion.map((row) => row[index]));
    const precision = ratio(hits, claimed);
    const recall = ratio(hits, support);
    return { label, precision, recall, f1: ratio(2 * hits, support + claimed), support };
  });
  const accuracy = ratio(sum(names.map((_, index) => confusion[index][index])), truth.length);
  return {
    accuracy,
    macroF1: ratio(sum(labels.map(({ f1 }) => f1)), labels.length),
    weightedF1: ratio(sum(labels.map(({ f1, support }) => f1 * support)), truth.length),
    // Every item has one true and one predicted label, so wrong ones count once as missed and once as false.
    microF1: accuracy,
    labels,
    confusion,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function ratio(numerator: number, denominator: number): number {
  return denominator === 0 ? 0 : numerator / denominator;
}
