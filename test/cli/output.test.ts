import { describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { formatBytes } from '../../core/sizes.ts';
import { formatSeconds, formatTable } from '../../main/cli/format.ts';
import { openOutput } from '../../main/cli/output.ts';
import { startProgress } from '../../main/cli/progress.ts';

function captured() {
  const written = { out: '', error: '' };
  return {
    written,
    streams: {
      out: { write: (text: string) => (written.out += text) },
      error: { write: (text: string) => (written.error += text) },
    },
  };
}

describe('openOutput', () => {
  const failure = new TributaryError('file.not-found', 'There is no file x');

  it('prints sentences for a person and errors as code, what happened, what to do', () => {
    const { written, streams } = captured();
    const output = openOutput(false, streams);
    output.line('Hello.');
    output.event('step', { step: 1 });
    output.result({ ids: [1] });
    output.error(failure);
    expect(written).toEqual({
      out: 'Hello.\n',
      error: 'file.not-found: There is no file x. Check the path and that you may read it.\n',
    });
  });

  it('prints one object a line with --json, errors on both streams', () => {
    const { written, streams } = captured();
    const output = openOutput(true, streams);
    output.line('Hello.');
    output.event('step', { step: 1 });
    output.error(failure);
    output.result({ ids: [1] });
    const lines = written.out.trimEnd().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
      { type: 'step', step: 1 },
      {
        type: 'error',
        code: 'file.not-found',
        message: 'There is no file x',
        hint: 'Check the path and that you may read it.',
      },
      { type: 'result', ids: [1] },
    ]);
    expect(written.error).toContain('file.not-found: ');
  });
});

describe('startProgress', () => {
  function display(isTTY: boolean, silent = false) {
    const state = { text: '', time: 0 };
    const stream = { isTTY, columns: 80, write: (text: string) => (state.text += text) };
    return { state, progress: startProgress('Fetching', { silent, stream, now: () => state.time }) };
  }

  it('paints one line on a terminal, with the time left', () => {
    const { state, progress } = display(true);
    progress.update(0, 100);
    state.time = 10_000;
    progress.update(25, 100, '25 MB');
    expect(state.text).not.toContain('\n');
    expect(state.text).toContain('25 %, 25 MB, 30 s left');
    progress.finish('Fetched.');
    expect(state.text.endsWith('\r\x1b[KFetched.\n')).toBe(true);
  });

  it('does not say 100 % before the work is finished', () => {
    for (const isTTY of [true, false]) {
      const { state, progress } = display(isTTY);
      state.time = 5000;
      progress.update(100, 100);
      expect(state.text).toContain('99 %');
      expect(state.text).not.toContain('100');
    }
  });

  it('prints a plain line at each tenth without a terminal, and none for what is quick', () => {
    const slow = display(false);
    for (let done = 0; done <= 1000; done++) {
      slow.state.time = done * 100;
      slow.progress.update(done, 1000);
    }
    const lines = slow.state.text.trimEnd().split('\n');
    expect(lines).toHaveLength(10);
    expect(lines[2]).toBe('Fetching: 30 %, 1 min 10 s left');
    expect(slow.state.text).not.toContain('\r');

    const quick = display(false);
    for (let done = 0; done <= 900; done++) {
      quick.state.time = done;
      quick.progress.update(done, 1000);
    }
    expect(quick.state.text).toBe('');
  });

  it('repaints a terminal at most ten times a second', () => {
    const { state, progress } = display(true);
    for (state.time = 0; state.time < 1000; state.time++) progress.update(state.time, 1000);
    expect(state.text.split('\r')).toHaveLength(11);
  });

  it('is silent with --json', () => {
    const { state, progress } = display(true, true);
    progress.update(1, 2);
    progress.finish('Fetched.');
    expect(state.text).toBe('');
  });
});

describe('formats', () => {
  it.each([
    [0, '0 bytes'],
    [999, '999 bytes'],
    [1000, '1.0 kB'],
    [98_362_432, '98.4 MB'],
    [999_600_000, '1.0 GB'],
    [123_456_789_000, '123 GB'],
  ])('%d bytes as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it.each([
    [0.4, '0 s'],
    [59.6, '1 min 0 s'],
    [200, '3 min 20 s'],
    [7500, '2 h 5 min'],
  ])('%d seconds as %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  it('aligns a table, numbers to the right', () => {
    expect(formatTable(['site', 'rows'], [['north', 7], ['south-west', 120]])).toEqual([
      'site        rows',
      'north          7',
      'south-west   120',
    ]); // prettier-ignore
  });
});
