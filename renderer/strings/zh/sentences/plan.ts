/** @file Why a plan is refused: fields that do not fit together, and what stands in a field. */

import type { Form } from '../../sentences.ts';

export const plan: readonly Form[] = [
  // core/federation/issues.ts
  ['{fields}: no such field; allowed are {allowed}.', '{fields}：没有此字段；可用的有 {allowed}。'],
  ['{fields}: no such field; {field} has {allowed}.', '{fields}：没有此字段；{field} 有 {allowed}。'],
  ['{field}: found {found}, {expectation} ({meaning}).', '{field}：填写的是 {found}，{expectation}。'],
  ['{field}: found {found}, {expectation}.', '{field}：填写的是 {found}，{expectation}。'],
  ['The whole', '整个计划'],
  ['nothing', '空'],
  ['expected {values}', '应为 {values}'],
  ['expected more than {limit}', '应大于 {limit}'],
  ['expected at least {limit}', '应至少为 {limit}'],
  ['expected less than {limit}', '应小于 {limit}'],
  ['expected at most {limit}', '应至多为 {limit}'],
  ['expected more than {limit} characters', '应多于 {limit} 个字符'],
  ['expected at least {limit} characters', '应至少有 {limit} 个字符'],
  ['expected less than {limit} characters', '应少于 {limit} 个字符'],
  ['expected at most {limit} characters', '应至多有 {limit} 个字符'],
  ['expected more than {limit} entries', '应多于 {limit} 项'],
  ['expected at least {limit} entries', '应至少有 {limit} 项'],
  ['expected less than {limit} entries', '应少于 {limit} 项'],
  ['expected at most {limit} entries', '应至多有 {limit} 项'],
  ['expected number', '应为数字'],
  ['expected int', '应为整数'],
  ['expected string', '应为文字'],
  ['expected boolean', '应为是或否'],
  ['expected array', '应为列表'],
  ['expected object', '应为对象'],
  // core/federation/plan-checks.ts
  [
    'training.minLearningRate is {least}, above training.learningRate {rate}; the learning rate falls over the rounds.',
    'training.minLearningRate 为 {least}，高于 training.learningRate {rate}；学习率会随轮次下降。',
  ],
  ['adapter.targets names a layer twice: {targets}.', 'adapter.targets 重复列出了某个层：{targets}。'],
  [
    'training.dpo is for the objective "dpo"; this plan has "sft".',
    'training.dpo 用于目标 "dpo"；此计划的目标是 "sft"。',
  ],
  [
    'training.dpo.labelSmoothing is {value}; the loss ipo has none, so it must be 0.',
    'training.dpo.labelSmoothing 为 {value}；损失 ipo 不使用它，必须为 0。',
  ],
  [
    'adapter.dropout is {value}; the objective "dpo" compares likelihoods and takes none, so it must be 0.',
    'adapter.dropout 为 {value}；目标 "dpo" 比较似然，不使用它，必须为 0。',
  ],
  [
    'adapter.variant is "rolora", which leaves A or B as it is in each round, but {strategy} would move it by what it keeps of earlier rounds ({kept}); fedavg does not.',
    'adapter.variant 为 "rolora"，每轮保持 A 或 B 不变，但 {strategy} 会用它从前几轮保留的内容（{kept}）移动它；fedavg 不会。',
  ],
  [
    'adapter.variant is "fedsa", which shares A and keeps B at each site; {why}. Choose fedavg or another strategy.',
    'adapter.variant 为 "fedsa"，共享 A 而把 B 留在各站点；{why}。请选择 fedavg 或其他策略。',
  ],
  ['{strategy} shares nothing', '{strategy} 不共享任何内容'],
  [
    '{strategy} steers by the mean change of all that is trained',
    '{strategy} 依据所有被训练内容的平均变化来引导',
  ],
  [
    'federation.mode is "{mode}", which this version does not do yet; it does inspected.',
    'federation.mode 为 "{mode}"，此版本尚不支持；支持 inspected。',
  ],
  ['adapter.start names {which}; a run has one start.', 'adapter.start {which}；一个运行只有一个起点。'],
  ['neither a run nor a folder', '既没有指定运行也没有指定文件夹'],
  ['a run and a folder', '同时指定了运行和文件夹'],
  [
    'personal trains after the run, and the adapter that pairs are held against (adapter.start) is there only until the run ends; leave out one of them.',
    'personal 在运行之后训练，而用来比较成对数据的适配器（adapter.start）只保留到运行结束；请去掉其中之一。',
  ],
  ['A late update cannot be taken into the next round: {why}.', '迟到的更新不能计入下一轮：{why}。'],
  [
    'federation.mode is "private", in which the hub sees only the sum of a round',
    'federation.mode 为 "private"，中心只能看到一轮的总和',
  ],
  [
    'federation.strategy is scaffold, whose control variates belong to the round that they were computed in',
    'federation.strategy 为 scaffold，其控制变量属于计算它们的那一轮',
  ],
  [
    'with federation.strategy "local" every site keeps its own adapter, so none is late',
    'federation.strategy 为 "local" 时每个站点保留自己的适配器，因此没有迟到',
  ],
  [
    'adapter.variant is "rolora", whose next round moves other matrices',
    'adapter.variant 为 "rolora"，其下一轮会移动其他矩阵',
  ],
  // core/federation/plan-rounds.ts
  [
    'training.passes needs to know how often a site is drawn; say federation.cohort as a share, such as {"share": 0.2}.',
    'training.passes 需要知道站点多久被抽中一次；请把 federation.cohort 写成比例，例如 {"share": 0.2}。',
  ],
  [
    'federation.minApprovals is {approvals}, below federation.minSites {sites}; no round could close.',
    'federation.minApprovals 为 {approvals}，低于 federation.minSites {sites}；任何一轮都无法结束。',
  ],
  [
    'federation.cohort.sites is {cohort}, below federation.minSites {sites}; no round could close.',
    'federation.cohort.sites 为 {cohort}，低于 federation.minSites {sites}；任何一轮都无法结束。',
  ],
  [
    'evaluation.share and evaluation.count are both given; a site holds out one or the other.',
    '同时填写了 evaluation.share 和 evaluation.count；站点只能按其中之一留出。',
  ],
  [
    'evaluation scores what the hub makes of the updates; with federation.strategy.name "local" it makes nothing, so the plan must have none.',
    'evaluation 为中心汇总的结果评分；federation.strategy.name 为 "local" 时没有汇总，因此计划中不能有它。',
  ],
  [
    'federation.earlyStop needs the scores of held-out rows, so the plan must have evaluation too.',
    'federation.earlyStop 需要留出行的评分，因此计划也必须有 evaluation。',
  ],
  [
    'federation.earlyStop.metric is "{metric}", which only pairs have; with the objective "sft" it must be heldOutLoss.',
    'federation.earlyStop.metric 为 "{metric}"，只有成对的数据才有；目标为 "sft" 时必须是 heldOutLoss。',
  ],
];
