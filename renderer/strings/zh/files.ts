/** @file Choosing files and folders. */

import type { Catalogue } from '../en.ts';

export const files: Catalogue['files'] = {
  path: '本机上的路径',
  parent: '上一级',
  empty: '此文件夹中没有子文件夹。',
  nothing: (endings) => `这里没有以 ${endings} 结尾的文件。`,
  more: (count) => `另有 ${count} 项未显示，请直接输入路径。`,
  folderName: '新文件夹的名称',
  fileName: '文件名',
  missingName: '请先命名',
};
