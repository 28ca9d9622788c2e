/** @file Sentences of the program in Chinese: none that a window shows is missing, and none is left over. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { machineChecks } from '../../core/bridge/machine-report.ts';
import { HUB_WORDS } from '../../core/bridge/site/diagnostics.ts';
import { LEDGER_KINDS } from '../../core/federation/ledger.ts';
import { inspectPlan } from '../../core/federation/plan.ts';
import { presetNames, readPreset } from '../../core/federation/presets.ts';
import { sentenceOf } from '../../renderer/strings/ledger-entries.ts';
import { en } from '../../renderer/strings/en.ts';
import { translator } from '../../renderer/strings/sentences.ts';
import { zh } from '../../renderer/strings/zh.ts';
import { sentences } from '../../renderer/strings/zh/sentences.ts';

const core = join(import.meta.dirname, '../../core');
const say = translator(sentences);
const HAN = /\p{Script=Han}/u;

/** Text between quotes in a source, `{}` where something is filled in. */
function literalsOf(path: string): string[] {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) return;
    if (ts.isStringLiteralLike(node)) found.push(node.text);
    if (ts.isTemplateExpression(node))
      found.push([node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('{}'));
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Two words in a row, neither a query nor a note for programmers. */
const isSentence = (text: string): boolean =>
  /[a-z,;’] [a-z{“]/.test(text) && !/^\s*(SELECT|INSERT|UPDATE|DELETE|sql)\b/.test(text);

/** Files of which every sentence may come to a window, and what of them does not. */
const SHOWN: Record<string, RegExp | null> = {
  'site/status.ts': null,
  'bridge/site/measure.ts': null,
  // The report stays in English.
  'bridge/machine-report.ts': /, Node|^of the program$|^\{\}, \{\}$/,
  'bridge/site/diagnostics.ts': /^hub \{\}$|^run \{\}/,
  'bridge/hub/diagnostics.ts': /^run \{\}: |^, round/,
  'site/stops.ts': /was not approved here|is not known here|has ended|^The run \{\} \{\}\.$/,
  'site/disclosure.ts': null,
  // Both forms of the first sentence are below.
  'site/withdrawal.ts': /^, all|deleted and overwritten/,
  'hub/site-status.ts': null,
  'hub/status.ts': null,
  'hub/rounds.ts':
    /^it is awaited until|^calls upon sites|^nothing: its update|^its score is awaited|^it fetches/,
  'federation/plan-checks.ts':
    /^shares nothing$|^steers by|^neither a run|^a run and a folder$|^adapter\.start names/,
  'federation/plan-rounds.ts': /^neither a run|^a run and a folder$|^adapter\.start names/,
  'vault/guess/guess.ts': /^\{\} and \{\}$|^, with \{\} after it,$/,
  'vault/readers/encoding.ts': /^It holds ASCII|^All its bytes|^\{\} is not|^UTF-16 \(/,
};

describe.each(Object.entries(SHOWN))('core/%s', (file, others) => {
  const shown = literalsOf(join(core, file)).filter((text) => isSentence(text) && !others?.test(text));

  it('has sentences', () => expect(shown.length).toBeGreaterThan(0));

  it.each(shown)('%s', (sentence) => {
    let filled = 0;
    const example = sentence.replaceAll('{}', () => `x${++filled}`);
    const said = say(example);
    expect(said).toMatch(HAN);
    // Nothing that was filled in is lost, but for what explains a field in English.
    for (let value = 1; value <= filled; value++) expect(said).toContain(`x${value}`);
  });
});

const abouts = await Promise.all((await presetNames()).map(async (name) => (await readPreset(name)).about));

it.each(abouts)('%s', (about) => {
  // Names stay as they are; a sentence in English would have words between words.
  expect(say(about)).toMatch(HAN);
  expect(say(about)).not.toMatch(/[a-z]{2,} [a-z]{2,} [a-z]/);
});

it('no form is left over: the program has the words of each', () => {
  const rooms = ['site', 'hub', 'federation', 'vault', 'training', 'bridge'].map((room) => join(core, room));
  const leaves = [join(core, 'errors.ts')];
  const files = rooms.flatMap((room) =>
    readdirSync(room, { recursive: true, encoding: 'utf8' }).map((name) => join(room, name)),
  );
  const sources = [...leaves, ...files]
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(name, 'utf8'));
  const all = [...sources, ...abouts].join('\n');
  // A sentence may be put together from several texts, between which signs stand.
  const words = sentences.flatMap(([english]) => english.split(/\{\w+\}|[.,;:()]|^expected/));
  const lost = words
    .map((part) => part.trim())
    .filter((part) => /[a-z]{4}/.test(part) && !all.includes(part));
  expect(lost).toEqual([]);
});

it.each([
  ['waiting for north, river', '正在等待 north, river'],
  [
    'every site has declined; north: The site has paused this run and may go on at any time.',
    '所有站点都已谢绝；north：该站点已暂停此运行，可随时继续。',
  ],
  [
    'site.paused: The site has paused this run and may go on at any time.',
    '该站点已暂停此运行，可随时继续。',
  ],
  ['has not answered the proposal, not connected for 12 s', '尚未答复提议，已断开 12 秒'],
  [
    'The run has 30 rounds; this site’s policy allows at most 20.',
    '此运行有 30 轮；本站点的策略允许：至多 20。',
  ],
  [
    'The 3 rows of notes in this machine’s vault are deleted and overwritten, all 2 versions. The file that they came from is not touched.',
    '本机保险库中 notes 的 3 行（全部 2 个版本）会被删除并覆写。它们来自的文件不会改动。',
  ],
  ['What a person wrote stays as it is.', 'What a person wrote stays as it is.'],
])('%s', (english, chinese) => expect(say(english)).toBe(chinese));

it('diagnostics say in Chinese how much was sent', () => {
  expect(say('48.3 kB in all')).toBe('共 48.3 kB');
  expect(say('0 bytes in all')).toBe('共 0 字节');
});

it.each([
  ...machineChecks(import.meta.dirname).map(({ says }) => says),
  ...Object.values(HUB_WORDS),
  ...Object.values(HUB_WORDS).map((words) => `${words} (hub.unreachable)`),
])('diagnostics say in Chinese: %s', (says) => {
  const said = say(says);
  expect(said).toMatch(HAN);
  expect(said.replace('hub.unreachable', '').replaceAll(/[kMGT]B/g, '')).not.toMatch(/[a-z]/);
});

it('every problem of a plan is said in Chinese', () => {
  const base = { name: 'x', model: 'tiny' };
  const plans = [
    { ...base, nonsense: 1 },
    { ...base, training: { steps: 'ten', batchSize: 0, learningRate: -1 } },
    { ...base, objective: 'nothing', federation: { rounds: 0, minSites: 1.5, codec: 'f8' } },
    {
      ...base,
      training: { minLearningRate: 1, learningRate: 1e-4 },
      adapter: { targets: ['q_proj', 'q_proj'] },
    },
    { ...base, federation: { cohort: { sites: 1 }, minSites: 3, minApprovals: 2 } },
    { ...base, adapter: { variant: 'rolora' }, federation: { strategy: { name: 'fedadam' } } },
    { ...base, adapter: { variant: 'fedsa' }, federation: { strategy: { name: 'scaffold' } } },
    { ...base, name: '' },
    {},
  ];
  const problems = plans.flatMap((plan) => inspectPlan(plan).problems);
  expect(problems.length).toBeGreaterThan(plans.length);
  for (const { message } of problems) expect(say(message), message).toMatch(HAN);
});

it.each(LEDGER_KINDS)('an entry of the kind %s is said in both languages', (kind) => {
  const body = { run: 'run-1', site: 'north', dataset: 'notes', round: 0, rows: 3, state: 'completed' };
  const catalogues = [
    { t: en.ledger, said: (text: string) => text, number: String },
    { t: zh.ledger, said: say, number: String },
  ];
  const [english, chinese] = catalogues.map((words) => sentenceOf({ kind, body }, words));
  expect(english).not.toContain('of the kind');
  expect(english).not.toMatch(HAN);
  expect(chinese).toMatch(HAN);
});
