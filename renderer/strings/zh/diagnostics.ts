/** @file The screen for those who help. */

import type { Catalogue } from '../en.ts';

export const diagnostics: Catalogue['diagnostics'] = {
  lead: '如果出现问题，请复制此报告并发送给协助您的人。',
  again: '重新检查',
  checks: '检查项',
  names: {
    processor: '处理器',
    memory: '内存',
    disk: '磁盘',
    model: '模型',
    folder: '文件夹',
    hub: '中心',
    sent: '已发送',
    sites: '站点',
    invitations: '邀请',
  },
  report: '报告',
  ok: '正常',
  notOk: '需要注意',
};
