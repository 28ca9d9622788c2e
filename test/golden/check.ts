/** @file What a check of golden vectors reports. */

export type Check = { name: string; status: 'passed' | 'failed' | 'skipped'; detail?: string };
