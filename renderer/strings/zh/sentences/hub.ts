/** @file What a hub says of runs and of their sites. */

import type { Form } from '../../sentences.ts';

export const hub: readonly Form[] = [
  // core/hub/site-status.ts
  ['never answered the proposal', '从未答复提议'],
  ['has not answered the proposal', '尚未答复提议'],
  ['waiting for the other sites', '正在等待其他站点'],
  ['not connected yet', '尚未连接'],
  ['not connected for {seconds} s', '已断开 {seconds} 秒'],
  ['connected, but nothing has been heard of it for {seconds} s', '已连接，但 {seconds} 秒没有消息'],
  ['its score is here', '其评分已收到'],
  ['scoring the new aggregate', '正在为新的汇总评分'],
  ['its update is here', '其更新已收到'],
  ['the round asks other sites, drawn by lot', '本轮抽签选了其他站点'],
  ['let the last round pass: not waited for', '错过了上一轮：不再等待'],
  [
    'tries again after {code}: {reason} ({seconds} s ago)',
    '出现 {code} 后正在重试：{reason}（{seconds} 秒前）',
  ],
  ['has been told to start', '已通知其开始'],
  ['step {step} of {steps}', '第 {step} 步，共 {steps} 步'],
  ['sending its update', '正在发送更新'],
  ['fetching the adapter', '正在获取适配器'],
  ['waiting for the run to be resumed', '正在等待运行继续'],
  ['waiting for the next round', '正在等待下一轮'],
  ['has not answered the plan with more rounds', '尚未答复增加轮数的计划'],
  ['has approved more rounds', '已批准增加轮数'],
  ['declined more rounds: {reason}', '谢绝增加轮数：{reason}'],
  ['declined more rounds: ', '谢绝增加轮数'],
  // core/hub/rounds.ts
  ['no site takes part any more', '已没有站点参加'],
  ['the deadline is past with too few updates', '已过期限，但更新太少'],
  ['too few of the drawn sites are left', '抽中的站点所剩太少'],
  [
    '{needed} sites are needed and {left} are left that can send an update',
    '需要 {needed} 个站点，只剩 {left} 个能发送更新',
  ],
  ['waiting until the deadline for {sites} sites', '在期限前等待 {sites} 个站点'],
  ['past the deadline, still waiting for {sites}', '已过期限，仍在等待 {sites}'],
  ['waiting for {sites}', '正在等待 {sites}'],
  ['waiting for the scores of {sites}', '正在等待 {sites} 的评分'],
  ['paused: {reason}', '已暂停：{reason}'],
  ['waiting for sites to approve the plan with more rounds', '正在等待站点批准增加轮数的计划'],
  // core/hub/status.ts
  ['no longer a member', '已不再是成员'],
  ['then paused: {reason}', '之后暂停：{reason}'],
  ['summing the updates', '正在汇总更新'],
  ['about to close', '即将结束本轮'],
  ['about to go on', '即将继续'],
  ['{approved} of the {needed} sites needed have approved', '所需的 {needed} 个站点中已有 {approved} 个批准'],
  ['declined by {sites}', '{sites} 已谢绝'],
  // core/site/rehearsals.ts
  ['A person at this site has to approve it first.', '需要该站点的人员先批准。'],
  ['The site has declined this rehearsal.', '该站点已谢绝此次预演。'],
  // core/hub/updates.ts
  [
    'its updates of {rounds} rounds were refused, the last one because: {reason}',
    '其 {rounds} 轮的更新被拒绝，最后一次的原因：{reason}',
  ],
  ['The hub has excluded this site from {run}: {reason}', '中心已将本站点排除在 {run} 之外：{reason}'],
  // core/hub/view.ts, proposals.ts, office.ts, steps.ts, run-control.ts
  ['it declined', '已谢绝'],
  ['every site has declined; {reasons}', '所有站点都已谢绝；{reasons}'],
  [
    'completed; the adapter is that of round {round}, whose {metric} {value} was the best',
    '已完成；适配器取自第 {round} 轮，其 {metric} {value} 最好',
  ],
  [
    'stopped early after round {last}; the adapter is that of round {round}, whose {metric} {value} was the best',
    '在第 {last} 轮后提前停止；适配器取自第 {round} 轮，其 {metric} {value} 最好',
  ],
  ['cancelled by the coordinator', '由协调者取消'],
  ['paused by the coordinator', '由协调者暂停'],
  [
    'Round {round} of {run} asks {sites} sites, drawn by lot; this one is not among them.',
    '{run} 的第 {round} 轮抽签选了 {sites} 个站点，本站点不在其中。',
  ],
  [
    'The coordinator has paused {run} before its first round: {reason}',
    '协调者已在第一轮之前暂停 {run}：{reason}',
  ],
  [
    'The coordinator has paused {run} after the round under way: {reason}',
    '协调者已在当前一轮之后暂停 {run}：{reason}',
  ],
];
