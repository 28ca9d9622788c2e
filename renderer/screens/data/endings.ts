/** @file Files that can be connected. */

/** Ends of their names, without the dot. */
export const DATA_ENDINGS = ['csv', 'tsv', 'txt', 'json', 'jsonl', 'ndjson', 'parquet'];
