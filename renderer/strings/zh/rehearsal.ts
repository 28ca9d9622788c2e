/** @file A rehearsal that waits for a person at a site. */

import type { Catalogue } from '../en.ts';

export const rehearsal: Catalogue['rehearsal'] = {
  title: (name) => `${name}：可以在此预演吗？`,
  lead: '协调员在提议此计划之前，想知道它在您的站点会怎样。它不是运行：不会改变任何适配器，是否参加以后再决定。',
  ofFederation: (federation) => `来自 ${federation}。`,
  measured: '测量什么',
  measuredSentences: (steps) => [
    '您的数据行是否符合计划的要求。',
    `在此训练 ${steps} 步所需的时间和内存。所学到的内容会被丢弃。`,
  ],
  leavesSentences: [
    '您的数据行不符合计划数据约定的哪些部分，以其名称表示。',
    '将用于训练的行数，以及每轮的步骤数。',
    '每步秒数和每秒词元数。',
    '已用的内存和可用的内存、数字格式以及设备类型。',
  ],
  neverUpdate: '数据行和更新不会离开。',
  approve: '在此预演',
  approveFailed: '预演未获批准',
  declineTitle: (name) => `拒绝对 ${name} 的预演？`,
  declineLead: '协调员会得知本站点未被测量。之后仍可能提议运行。',
};
