/** @file A result as the process behind the window lists it, and where its export is proposed to go. */

import type { Output } from '../../bridge/types.ts';

export type Result = Output<'results.list'>['results'][number];
export type Format = Output<'results.list'>['formats'][number];

/** A name for a new folder of every system: what other systems do not take becomes a dash. */
export function folderName({ name }: Pick<Result, 'name'>, format: Format): string {
  const plain = name
    .replace(/[^\p{L}\p{N}._-]+/gu, '-')
    .replace(/^[.-]+|[.-]+$/g, '')
    .slice(0, 80);
  return `${plain || 'adapter'}-${format}`;
}

/** A folder below another one, written as that one is. */
export function below(folder: string, name: string): string {
  const separator = folder.includes('\\') ? '\\' : '/';
  return `${folder.replace(/[/\\]$/, '')}${separator}${name}`;
}
