import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEVICES } from '../../core/engine/devices.ts';
import { memory, nodeVersion } from '../../main/cli/diagnosis.ts';
import { captureOutput, run } from './capture.ts';

const captured = captureOutput();

describe('wrong usage', () => {
  it.each([
    [['no-such-command'], "Unknown command 'no-such-command'"],
    [['tokenize', '--text', 'a'], "Required option '--model <model>' not specified"],
    [['audit', 'verify'], "Missing required argument 'ledger'"],
    [['audit', 'verify', 'x', '--no-such-option'], "Unknown option '--no-such-option'"],
    [
      ['generate', '--model', 'tiny', '--prompt', 'a', '--max-tokens', 'many'],
      'The value “many” of --max-tokens is not valid: expected a number',
    ],
    [
      ['generate', '--model', 'tiny', '--prompt', 'a', '--top-p', '0'],
      'The value “0” of --top-p is not valid: expected more than 0',
    ],
    [
      ['generate', '--model', 'tiny', '--prompt', 'a', '--repetition-penalty', '0'],
      'The value “0” of --repetition-penalty is not valid: expected more than 0',
    ],
    [
      ['bench', 'generate', '--model', 'tiny', '--tokens', '1'],
      'The value “1” of --tokens is not valid: expected at least 2',
    ],
    [
      ['hub', 'init', '--dir', 'x', '--name', 'x', '--url', 'example.org'],
      'The value “example.org” of --url is not valid: not a ws:// or wss:// address',
    ],
  ])('%j exits with 2 and says what is wrong', async (words, message) => {
    expect(await run(...words)).toBe(2);
    expect(captured.error).toBe(
      `usage.invalid: ${message}. Run the command with --help to see its options.\n`,
    );
    expect(captured.out).toBe('');
    expect(await run(...words, '--json')).toBe(2);
    expect(JSON.parse(captured.out)).toEqual({
      type: 'error',
      code: 'usage.invalid',
      message,
      hint: 'Run the command with --help to see its options.',
    });
  });

  it('shows the commands when none is named, also within a group', async () => {
    expect(await run()).toBe(2);
    expect(captured.error).toContain('audit');
    captured.error = '';
    expect(await run('audit')).toBe(2);
    expect(captured.error).toContain('verify');
    expect(await run('audit', '--json')).toBe(2);
    expect(JSON.parse(captured.out)).toMatchObject({ type: 'error', code: 'usage.invalid' });
  });
});

describe('help and version', () => {
  it('exit with 0', async () => {
    expect(await run('--help')).toBe(0);
    expect(captured.out).toContain('Usage: tributary');
    expect(await run('--version')).toBe(0);
  });
});

describe('tokenize', () => {
  it('gives ids, special tokens among them unless told otherwise', async () => {
    expect(await run('tokenize', '--model', 'tiny', '--text', 'a<|im_end|>', '--json')).toBe(0);
    expect(JSON.parse(captured.out)).toEqual({ type: 'result', ids: [97, 258] });
    captured.out = '';
    await run('tokenize', '--model', 'tiny', '--text', '<|', '--no-special');
    expect(captured.out).toBe('60 124\n');
  });

  it('names a model that is not there', async () => {
    expect(await run('tokenize', '--model', 'none', '--text', 'a', '--json')).toBe(1);
    expect(JSON.parse(captured.out)).toMatchObject({ type: 'error', code: 'model.not-found' });
  });
});

describe('models', () => {
  const home = mkdtempSync(join(tmpdir(), 'tributary-home-'));
  const before = process.env.TRIBUTARY_HOME;
  beforeEach(() => (process.env.TRIBUTARY_HOME = home));
  afterEach(() => {
    if (before === undefined) delete process.env.TRIBUTARY_HOME;
    else process.env.TRIBUTARY_HOME = before;
    rmSync(home, { recursive: true, force: true });
  });

  it('lists the catalogue and says what has been fetched', async () => {
    expect(await run('models', 'list', '--json')).toBe(0);
    const { models } = JSON.parse(captured.out) as {
      models: { id: string; fetched: boolean; pinned: boolean }[];
    };
    expect(models[0]).toMatchObject({ id: 'smollm2-135m-instruct', fetched: false, pinned: true });
    expect(models.at(-1)).toMatchObject({ sha256: null, fetched: false, pinned: false });
    captured.out = '';
    expect(await run('models', 'list')).toBe(0);
    expect(captured.out).toMatch(/smollm2-135m-instruct .* pinned .* no/);
    expect(captured.out).toMatch(/llama-3.2-1b-instruct .* Llama 3.2 Community License .* unpinned/);
  });

  it('finds a fetched file that is not the one of the catalogue', async () => {
    mkdirSync(join(home, 'models'), { recursive: true });
    writeFileSync(join(home, 'models', 'SmolLM2-135M-Instruct.Q4_1.gguf'), 'something else');
    expect(await run('models', 'verify', '--json')).toBe(1);
    expect(JSON.parse(captured.out)).toMatchObject({ type: 'error', code: 'model.hash-mismatch' });
  });

  it.each([
    ['fetch', 'none'],
    ['verify', 'none'],
    ['verify', 'smollm2-135m-instruct'],
    ['add', 'none'],
  ])('%s %s: there is no such model here', async (command, model) => {
    expect(await run('models', command, model)).toBe(1);
    expect(captured.error).toMatch(/^model\.not-found: /);
  });

  it('has nothing to fetch for the model tiny', async () => {
    expect(await run('models', 'fetch', 'tiny', '--json')).toBe(0);
    expect(JSON.parse(captured.out)).toEqual({ type: 'result', model: 'tiny', path: null });
  });
});

describe('doctor', () => {
  it('finds that this machine can run the tests', async () => {
    expect(await run('doctor', '--json')).toBe(0);
    const { findings } = JSON.parse(captured.out) as { findings: { name: string; verdict: string }[] };
    const names = findings
      .map(({ name }) => name)
      .filter((name) => !DEVICES.some((device) => device === name));
    expect(names).toEqual(['node', 'engine', 'device', 'database', 'cores', 'memory', 'disk', 'models']);
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
    expect(JSON.parse(captured.out)).toMatchObject({ type: 'result', verified: false, firstBroken: 0 });
  });

  it('names a file that is not there', async () => {
    expect(await run('audit', 'verify', join(folder, 'none'))).toBe(1);
    expect(captured.error).toMatch(/^ledger\.not-found: /);
  });
});
