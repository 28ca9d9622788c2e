/**
 * @file A researcher's own strategy, from a file on this machine. It runs in a simulation alone: plans name strategies
 * of the table, so that nothing executable can come over the wire.
 */

import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { TributaryError } from '../errors.ts';
import { sha256 } from '../federation/canonical.ts';
import type { Plan } from '../federation/plan.ts';
import type { Strategy } from '../federation/strategies/strategy.ts';
import { STRATEGIES, strategySchema } from '../federation/strategies/table.ts';

/** What the file exports as its default. */
export interface CustomStrategy {
  /** What results call it; none of the names of the table. */
  readonly name: string;
  /**
   * What sites do: `plain` training, FedProx's proximal term (`proximal`, with its weight `mu`), or SCAFFOLD's
   * correction (`control-variates`, with a part `control` and a moment `c`).
   */
  readonly client: 'plain' | 'proximal' | 'control-variates';
  /** Weight of the proximal term, for such a client; 0.01 without it. */
  readonly mu?: number;
  /** Called once for every run. */
  readonly create: () => Strategy;
}

/** A strategy that was read, with what takes its place in the plan, which decides what sites do. */
export interface LoadedStrategy extends CustomStrategy {
  /** SHA-256 of the file. */
  readonly hash: string;
  readonly planned: Plan['federation']['strategy'];
}

const exportSchema = z.object({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'expected lower-case letters, digits and dashes'),
  client: z.enum(['plain', 'proximal', 'control-variates']),
  mu: z.number().min(0).max(1000).optional(),
  create: z.custom<() => unknown>((value) => typeof value === 'function', 'expected a function'),
});
const strategyShape = z.object({
  parts: z.record(
    z.string(),
    z.object({ weighting: z.enum(['examples', 'uniform']), of: z.enum(['values', 'differences']) }),
  ),
  moments: z.record(z.string(), z.number()),
  update: z.custom<Strategy['update']>((value) => typeof value === 'function', 'expected a function'),
});

/** What a site sends, by what it does; a strategy has to sum all of it. */
const PARTS = {
  plain: ['weights'],
  proximal: ['weights'],
  'control-variates': ['control', 'weights'],
} as const;
const RESERVED = [...Object.keys(STRATEGIES), 'base', 'local', 'centralised'];

/**
 * Reads a strategy from the default export of a .js, .mjs or .ts file.
 * @throws TributaryError `simulation.bad-strategy` with what is wrong, `file.not-found`
 */
export async function loadStrategy(file: string): Promise<LoadedStrategy> {
  const path = resolve(file);
  if (!existsSync(path)) throw new TributaryError('file.not-found', `There is no ${file}.`);
  const text = await readFile(path, 'utf8');
  let exported: unknown;
  try {
    exported = await importDefault(path, text);
  } catch (cause) {
    if (cause instanceof TributaryError) throw cause;
    throw bad(file, `cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
  const read = exportSchema.safeParse(exported);
  if (!read.success) throw bad(file, `exports no strategy as its default: ${sentence(read.error)}`);
  const { name, client, mu, create } = read.data;
  if (RESERVED.includes(name)) throw bad(file, `calls its strategy ${name}, which is taken`);
  const made = (): Strategy => {
    const strategy = strategyShape.safeParse(create());
    if (!strategy.success) throw bad(file, `makes no strategy: ${sentence(strategy.error)}`);
    return strategy.data;
  };
  checkParts(file, client, made());
  const planned = {
    plain: { name: 'fedavg' },
    proximal: { name: 'fedprox', mu },
    'control-variates': { name: 'scaffold' },
  }[client];
  return { name, client, mu, create: made, hash: sha256(text), planned: strategySchema.parse(planned) };
}

function checkParts(file: string, client: CustomStrategy['client'], { parts, moments }: Strategy): void {
  const [wanted, found] = [PARTS[client], Object.keys(parts).sort()];
  if (wanted.join() !== found.join()) {
    throw bad(
      file,
      `sums ${found.join(', ') || 'nothing'}; with the client ${client} it has to sum ${wanted.join(', ')}`,
    );
  }
  if (client === 'control-variates' && !('c' in moments)) {
    throw bad(file, 'has no moment c, which sites with control variates receive');
  }
}

async function importDefault(path: string, text: string): Promise<unknown> {
  if (!path.endsWith('.ts')) return defaultOf(path);
  const script = await toJavaScript(path, text);
  // Beside the source, so that its own imports are found; elsewhere where that folder cannot be written to.
  const name = `.${basename(path, '.ts')}.${sha256(text).slice(0, 12)}.mjs`;
  const beside = join(dirname(path), name);
  try {
    await writeFile(beside, script);
  } catch {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-strategy-'));
    try {
      await writeFile(join(folder, name), script);
      return await defaultOf(join(folder, name));
    } finally {
      await rm(folder, { recursive: true });
    }
  }
  try {
    return await defaultOf(beside);
  } finally {
    await rm(beside, { force: true });
  }
}

async function defaultOf(path: string): Promise<unknown> {
  const module = z
    .object({ default: z.unknown() })
    .safeParse(await import(/* @vite-ignore */ pathToFileURL(path).href));
  return module.data?.default;
}

/** Leaves the types out. @throws TributaryError `simulation.bad-strategy` where TypeScript is not installed */
async function toJavaScript(path: string, text: string): Promise<string> {
  try {
    const { default: typescript } = await import('typescript');
    const { ModuleKind, ScriptTarget } = typescript;
    const compilerOptions = {
      module: ModuleKind.ESNext,
      target: ScriptTarget.ES2022,
      verbatimModuleSyntax: true,
    };
    return typescript.transpileModule(text, { compilerOptions, fileName: path }).outputText;
  } catch (cause) {
    throw bad(
      path,
      'is TypeScript, and the package typescript is not installed; a .js file needs none',
      cause,
    );
  }
}

function sentence(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`).join('; ');
}

function bad(file: string, what: string, cause?: unknown): TributaryError {
  return new TributaryError('simulation.bad-strategy', `${file} ${what}.`, { cause });
}
