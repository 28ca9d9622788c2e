import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { memory, nodeVersion } from '../../main/cli/diagnosis.ts';
import { runCommandLine } from '../../main/cli/program.ts';

let out = '';
let error = '';
beforeEach(() => {
  out = error = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((error += String(text)), true));
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** Runs a command line and gives its exit status. */
async function run(...words: string[]): Promise<number> {
  process.exitCode = undefined;
  await runCommandLine(words);
  return Number(process.exitCode ?? 0);
}

describe('wrong usage', () => {
  it.each([
    [['no-such-command'], "Unknown command 'no-such-command'"],
    [['tokenize', '--text', 'a'], "Required option '--model <model>' not specified"],
    [['audit', 'verify'], "Missing required argument 'ledger'"],
    [['audit', 'verify', 'x', '--no-such-option'], "Unknown option '--no-such-option'"],
  ])('%j exits with 2 and says what is wrong', async (words, message) => {
    expect(await run(...words)).toBe(2);
    expect(error).toBe(`usage.invalid: ${message}. Run the command with --help to see its options.\n`);
    expect(out).toBe('');
    expect(await run(...words, '--json')).toBe(2);
    expect(JSON.parse(out)).toEqual({
      type: 'error',
      code: 'usage.invalid',
      message,
      hint: 'Run the command with --help to see its options.',
    });
  });

  it('shows the commands when none is named, also within a group', async () => {
    expect(await run()).toBe(2);
    expect(error).toContain('audit');
    error = '';
    expect(await run('audit')).toBe(2);
    expect(error).toContain('verify');
  });
});

describe('help and version', () => {
  it('exit with 0', async () => {
    expect(await run('--help')).toBe(0);
    expect(out).toContain('Usage: tributary');
    expect(await run('--version')).toBe(0);
  });
});

describe('tokenize', () => {
  it('gives ids, special tokens among them unless told otherwise', async () => {
    expect(await run('tokenize', '--model', 'tiny', '--text', 'a<|im_end|>', '--json')).toBe(0);
    expect(JSON.parse(out)).toEqual({ type: 'result', ids: [97, 258] });
    out = '';
    await run('tokenize', '--model', 'tiny', '--text', '<|', '--no-special');
    expect(out).toBe('60 124\n');
  });

  it('names a model that is not there', async () => {
    expect(await run('tokenize', '--model', 'none', '--text', 'a', '--json')).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ type: 'error', code: 'model.not-found' });
  });
});

describe('doctor', () => {
  it('finds that this machine can run the tests', async () => {
    expect(await run('doctor', '--json')).toBe(0);
    const { findings } = JSON.parse(out) as { findings: { name: string; verdict: string }[] };
    expect(findings.map(({ name }) => name)).toEqual([
      'node',
      'engine',
      'database',
      'cores',
      'memory',
      'disk',
      'models',
    ]);
    expect(findings.filter(({ verdict }) => verdict === 'problem')).toEqual([]);
  });

  it('judges versions and memory', () => {
    expect(nodeVersion('20.18.3').verdict).toBe('problem');
    expect(nodeVersion('20.19.0').verdict).toBe('ok');
    expect(nodeVersion('22.1.0').verdict).toBe('ok');
    expect(memory(1e9, 5e8).verdict).toBe('warning');
  });
});

describe('audit verify', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-audit-'));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('exits with 1 for a broken ledger and still ends with a result', async () => {
    const file = join(folder, 'ledger.jsonl');
    writeFileSync(file, '{"index":0}\n');
    expect(await run('audit', 'verify', file, '--json')).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ type: 'result', verified: false, firstBroken: 0 });
  });

  it('names a file that is not there', async () => {
    expect(await run('audit', 'verify', join(folder, 'none'))).toBe(1);
    expect(error).toMatch(/^ledger\.not-found: /);
  });
});
