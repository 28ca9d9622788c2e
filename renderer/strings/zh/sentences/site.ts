/** @file What a site says of itself and of runs. */

import type { Form } from '../../sentences.ts';

export const site: readonly Form[] = [
  // core/site/status.ts
  ['The site belongs to no federation yet.', '本站点尚未加入任何联盟。'],
  ['The site is not running.', '站点没有运行。'],
  ['Connecting to the hub.', '正在连接中心。'],
  ['The run {run} waits for approval at this site.', '运行 {run} 正在等待本站点批准。'],
  [
    'The run {run} is to be extended to {rounds} rounds, which waits for approval at this site.',
    '运行 {run} 将延长到 {rounds} 轮，正在等待本站点批准。',
  ],
  [
    'The run {run} is approved; the hub and other sites are awaited.',
    '运行 {run} 已批准；正在等待中心和其他站点。',
  ],
  [
    'The rehearsal {rehearsal} of “{plan}” waits for approval at this site.',
    '“{plan}”的预演 {rehearsal} 正在等待本站点批准。',
  ],
  ['This machine computes for {federation} first.', '本机正先为 {federation} 计算。'],
  // core/errors.ts, core/federation/peer-errors.ts, core/federation/blobs.ts
  [
    '{folder} has {free} bytes free; {bytes} are needed.',
    '{folder} 还有 {free} 字节可用；需要 {bytes} 字节。',
  ],
  ['No space is left for the database.', '数据库所在磁盘已没有可用空间。'],
  ['The other side has no space left on its disk.', '对方的磁盘已没有可用空间。'],
  [
    'The other side has trouble of its own ({code}); its log says more.',
    '对方自身出现问题（{code}）；对方的日志有更多说明。',
  ],
  // core/site/rehearsals.ts
  ['The rehearsal {rehearsal} does not wait here.', '预演 {rehearsal} 并未在此等待。'],
  // core/site/stops.ts
  ['The site has paused this run and may go on at any time.', '该站点已暂停此运行，可随时继续。'],
  ['The site has given this run up.', '该站点已放弃此运行。'],
  ['The site has declined this run.', '该站点已谢绝此运行。'],
  ['The run {run} is paused here.', '运行 {run} 已在此暂停。'],
  // core/site/disclosure.ts
  ['The rows do not fit the plan’s data contract in {parts}.', '数据行在 {parts} 方面不符合计划的数据约定。'],
  [
    'This site cannot take part ({code}); its own log, site.log, says more.',
    '本站点无法参加（{code}）；本站点的日志 site.log 有更多说明。',
  ],
  // core/site/policy.ts
  ['The policy of this site does not allow the hub {hub}.', '本站点的策略不允许中心 {hub}。'],
  ['The run {found}; this site’s policy allows {allowed}.', '此运行{found}；本站点的策略允许：{allowed}。'],
  ['trains with the objective {objective}', '的训练目标是 {objective}'],
  ['runs in {mode} mode', '使用 {mode} 模式'],
  ['trains the model {model} ({hash}…)', '训练模型 {model}（{hash}…）'],
  ['its own list', '其自己的列表'],
  ['has {rounds} rounds', '有 {rounds} 轮'],
  ['has {steps} steps a round', '每轮有 {steps} 步'],
  ['may average over {sites} sites', '可能只对 {sites} 个站点求平均'],
  ['would use the dataset {dataset}', '会使用数据集 {dataset}'],
  ['would use {examples} examples of the dataset {dataset}', '会使用数据集 {dataset} 的 {examples} 个样例'],
  ['makes updates of {bytes} bytes', '产生 {bytes} 字节的更新'],
  ['at most {limit}', '至多 {limit}'],
  ['at least {limit}', '至少 {limit}'],
  ['This site has withdrawn the rows of this run.', '本站点已撤回此运行的数据行。'],
  ['This site has not approved the run {run}.', '本站点没有批准运行 {run}。'],
  ['The hub refused an update: {reason}', '中心拒绝了一个更新：{reason}'],
  [
    'The hub amends {run} with another plan than the approved one with more rounds.',
    '中心用另一个计划来延长 {run}，而不是已批准计划增加轮数。',
  ],
  // core/training/client.ts
  ['The training process ended unexpectedly ({how}).', '训练进程意外结束（{how}）。'],
  ['signal {signal}', '信号 {signal}'],
  ['status {status}', '状态 {status}'],
  // core/site/withdrawal.ts
  [
    'The {rows} rows of {name} in this machine’s vault are deleted and overwritten. The file that they came from is not touched.',
    '本机保险库中 {name} 的 {rows} 行会被删除并覆写。它们来自的文件不会改动。',
  ],
  [
    'The {rows} rows of {name} in this machine’s vault are deleted and overwritten, all {versions} versions. The file that they came from is not touched.',
    '本机保险库中 {name} 的 {rows} 行（全部 {versions} 个版本）会被删除并覆写。它们来自的文件不会改动。',
  ],
  ['These runs end at this site: {runs}.', '这些运行会在本站点结束：{runs}。'],
  ['The approval of every plan within the policy ends with it.', '对策略范围内所有计划的批准也随之结束。'],
  ['No adapter has learned from it.', '没有适配器从中学习过。'],
  [
    'Adapters on this machine have learned from it and stay until they are deleted: {runs}.',
    '本机上的适配器从中学习过，会保留到被删除为止：{runs}。',
  ],
  [
    'The hub’s adapters of {runs} have learned from it too; that cannot be taken back.',
    '中心的 {runs} 的适配器也从中学习过；这无法收回。',
  ],
  // core/site/preview.ts
  ['There are no rows.', '没有数据行。'],
  [
    'None of the first {looked} rows is an example; the first one {problem}.',
    '前 {looked} 行中没有一行能成为样例；第一行的问题：{problem}。',
  ],
  ['is empty', '为空'],
  [
    'In none of the first {looked} rows anything of an answer lies within {length}: all would be cut away.',
    '前 {looked} 行中没有任何回答位于{length}之内：都会被截去。',
  ],
  ['the first {tokens} tokens of {model}', '{model} 的前 {tokens} 个词元'],
  // core/bridge/site/measure.ts
  ['No data is connected.', '尚未连接数据。'],
  ['Connect a dataset first.', '请先连接一个数据集。'],
  ['No dataset here fits this run.', '此处没有适合此运行的数据集。'],
  ['The model {model} is not on this machine.', '模型 {model} 不在本机上。'],
];
