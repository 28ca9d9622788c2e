/** @file Public datasets: which there are, and bringing one to this machine. */

import type { Catalogue } from '../en.ts';

export const publicData: Catalogue['publicData'] = {
  open: '公开数据集',
  lead: '可用于试用，或与您自己的数据一起使用。文件会获取到本机，然后像其他文件一样接入；不会发送您的任何内容。',
  topics: {
    medicine: '医学',
    general: '通用',
    finance: '金融与银行',
    code: '编程',
    mathematics: '数学',
    preferences: '偏好',
    safety: '安全',
  },
  dataset: '数据集',
  size: '大小',
  about: (size) => `约 ${size}`,
  licence: '许可',
  notStated: '未说明',
  hash: '核对依据',
  pinned: '已知哈希值',
  firstUse: '首次使用',
  firstUseHint: '编制此列表时无法核对其哈希值：首次获取的哈希值会被记住，之后不同的文件会被拒绝。',
  measuring: '用于评测，不用于训练',
  fetch: '获取',
  fetchNamed: (name) => `获取 ${name}`,
  connect: '接入',
  connectNamed: (name) => `接入 ${name}`,
  fetching: (name) => `正在获取 ${name}`,
  failed: '未能获取数据集',
  byHand: (folder) => `没有网络时：请把文件按提示中的名称复制到 ${folder}。`,
};
