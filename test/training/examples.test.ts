import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { MAXIMUM_LINE_BYTES } from '../../core/jsonl.ts';
import { parseRow, readJsonl } from '../../core/training/examples.ts';

const folder = mkdtempSync(join(tmpdir(), 'tributary-examples-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string) => ({ role: 'assistant', content });

describe('parseRow', () => {
  it.each([
    [{ instruction: 'Add', input: '2 and 3', response: '5', id: 7 }, [user('Add 2 and 3'), assistant('5')]],
    [{ instruction: 'Add', input: '', response: '5' }, [user('Add'), assistant('5')]],
    [{ question: 'Why?', answer: 'So.' }, [user('Why?'), assistant('So.')]],
    [
      {
        messages: [
          { role: 'system', content: 'Be brief' },
          user('a'),
          assistant('b'),
          user('c'),
          assistant('d'),
        ],
      },
      [{ role: 'system', content: 'Be brief' }, user('a'), assistant('b'), user('c'), assistant('d')],
    ],
  ])('reads a conversation from %j', (row, messages) => {
    expect(parseRow(row)).toEqual({ kind: 'conversation', messages });
  });

  it('reads a preference pair with a prompt of either form', () => {
    const pair = { chosen: 'yes', rejected: 'no' };
    const expected = { kind: 'preference', prompt: [user('Is it?')], ...pair };
    expect(parseRow({ prompt: 'Is it?', ...pair })).toEqual(expected);
    expect(parseRow({ prompt: [user('Is it?')], ...pair })).toEqual(expected);
  });

  it.each([
    ['I would turn off the lights.', "I don't know."],
    ['Sorry, no.', 'Sure.'],
    ['Yes', 'Yes, yes.'],
  ])('keeps what the answers of two dialogues have in common: %s', (chosen, rejected) => {
    const before = '\n\nHuman: What would\n\nyou do?\n\nAssistant: Where?\n\nHuman: At home: ';
    const answers = {
      chosen: `${before}\n\nAssistant: ${chosen}`,
      rejected: `${before}\n\nAssistant: ${rejected}`,
    };
    const prompt = [user('What would\n\nyou do?'), assistant('Where?'), user('At home:')];
    expect(parseRow(answers)).toEqual({ kind: 'preference', prompt, chosen, rejected });
  });

  it.each([
    ['no dialogue', 'yes', 'no'],
    ['another question', '\n\nHuman: a\n\nAssistant: b', '\n\nHuman: c\n\nAssistant: b'],
    [
      'another number of turns',
      '\n\nHuman: a\n\nAssistant: b',
      '\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d',
    ],
    ['a turn after the answer', '\n\nHuman: a\n\nAssistant: b\n\nHuman: c', '\n\nHuman: a\n\nAssistant: d'],
    ['a text before it', 'x\n\nHuman: a\n\nAssistant: b', 'x\n\nHuman: a\n\nAssistant: c'],
    ['no question', '\n\nAssistant: b', '\n\nAssistant: c'],
  ])('refuses a pair without a prompt and with %s', (_what, chosen, rejected) => {
    const words = 'two dialogues that differ in their last answer alone';
    expect(() => parseRow({ chosen, rejected })).toThrow(words);
  });

  it.each([
    [{ instruction: 'Add' }, 'response'],
    [{ question: 'Why?', answer: '  ' }, 'answer" of a row is empty'],
    [{ question: 'Why?', answer: 3 }, 'answer'],
    [{ messages: [user('a')] }, 'does not end with a message of the assistant'],
    [{ messages: [] }, 'does not end'],
    [{ messages: [assistant('a'), user('b')] }, 'does not alternate'],
    [{ messages: [user('a'), { role: 'tool', content: 'b' }] }, 'messages.1.role'],
    [{ prompt: [user('a'), assistant('b')], chosen: 'c', rejected: 'd' }, 'prompt'],
    [{ prompt: 'a', chosen: 'c' }, 'rejected'],
    [{ text: 'a', label: 'b' }, 'none of the fields'],
  ])('refuses %j', (row, words) => {
    expect(() => parseRow(row)).toThrow(expect.objectContaining({ code: 'data.broken-line' }) as Error);
    expect(() => parseRow(row)).toThrow(words);
  });
});

describe('readJsonl', () => {
  const good = '{"question":"Why?","answer":"So."}';

  it('keeps U+2028 inside a row, and passes over blank lines, a byte-order mark and carriage returns', async () => {
    const path = file('odd.jsonl', `\uFEFF${good}\r\n\r\n{"question":"a\u2028b","answer":"c"}\n`);
    const { examples, skipped } = await readJsonl(path, { objective: 'sft' });
    expect(examples.map(({ messages }) => messages[0].content)).toEqual(['Why?', 'a\u2028b']);
    expect(skipped).toEqual([]);
  });

  it('reads rows that straddle the chunks of the stream', async () => {
    const rows = Array.from({ length: 40 }, (_, i) =>
      JSON.stringify({ question: `${i}`, answer: 'é'.repeat(9000) }),
    );
    const { examples } = await readJsonl(file('long.jsonl', rows.join('\n')), { objective: 'sft' });
    expect(examples.map(({ messages }) => messages[0].content)).toEqual(rows.map((_, i) => `${i}`));
    expect(new Set(examples.map(({ messages }) => messages[1].content.length))).toEqual(new Set([9000]));
  });

  it.each([
    ['cut short', '{"question":"Why?"', 'Line 3 of .* is not JSON \\(it ends too early\\)'],
    ['an array', '[1]', 'Line 3 of .* is not a JSON object'],
    ['no known form', '{"text":"a"}', 'Line 3 of .* does not fit: A row has none'],
    ['of the other kind', '{"prompt":"a","chosen":"b","rejected":"c"}', 'Line 3 .* preference pair'],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'Line 3 .* is not UTF-8'],
  ])('names a line that is %s by its number', async (name, line, message) => {
    const content = Buffer.concat([
      Buffer.from(`${good}\n\n`),
      Buffer.from(line),
      Buffer.from(`\n${good}\n`),
    ]);
    const path = file(`${name}.jsonl`, content);
    const failure = await readJsonl(path, { objective: 'sft' }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'data.broken-line',
      message: expect.stringMatching(message) as string,
    });
    const { examples, skipped } = await readJsonl(path, { objective: 'sft', skipBad: true });
    expect(examples).toHaveLength(2);
    expect(skipped).toMatchObject([{ line: 3 }]);
  });

  it('does not quote the row in the error', async () => {
    const path = file('secret.jsonl', '{"question":"the patient Jane"x}');
    const failure = await readJsonl(path, { objective: 'sft' }).catch((error: unknown) => error);
    expect(String(failure)).not.toContain('Jane');
  });

  it('reports a row longer than the limit without holding it', async () => {
    const path = file('huge.jsonl', `${good}\n{"question":"${'x'.repeat(MAXIMUM_LINE_BYTES)}"}\n${good}\n`);
    await expect(readJsonl(path, { objective: 'sft' })).rejects.toMatchObject({ code: 'data.row-too-long' });
    const { examples, skipped } = await readJsonl(path, { objective: 'sft', skipBad: true });
    expect([examples.length, skipped.map(({ line }) => line)]).toEqual([2, [2]]);
  });

  it('refuses an empty set, a missing file and a folder', async () => {
    await expect(readJsonl(file('empty.jsonl', '\n'), { objective: 'sft' })).rejects.toMatchObject({
      code: 'data.empty',
    });
    const missing = join(folder, 'missing.jsonl');
    await expect(readJsonl(missing, { objective: 'sft' })).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(readJsonl(folder, { objective: 'sft' })).rejects.toMatchObject({ code: 'file.wrong-kind' });
  });
});
