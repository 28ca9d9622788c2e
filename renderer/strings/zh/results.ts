/** @file The screen “Results”. */

import type { Catalogue } from '../en.ts';

export const results: Catalogue['results'] = {
  lead: '在此产生或有本站点参与产生的适配器：它们如何产生，以及如何带到别处。',
  emptyTitle: '尚无适配器',
  emptyText: '当运行完成，或您单独训练之后，适配器会显示在此处。',
  emptySteps: [
    '接入数据集，或使用内置样例。',
    '批准提议的运行，或单独训练。',
    '在“试用”页面比较结果，然后从此处导出。',
  ],
  toRun: '前往运行',
  kinds: { federated: '联邦', local: '单独训练' },
  madeOn: (time, model) => `产生于 ${time}，用于 ${model}`,
  rounds: '轮次',
  steps: '步数',
  stepsRound: '每轮步数',
  dataset: '本站点的数据',
  sample: '内置样例',
  noDataset: '无',
  loss: '本站点的损失',
  lossBefore: (loss) => `此前为 ${loss}`,
  rank: '秩',
  size: '大小',
  folder: '文件夹',
  hash: '基础模型的 SHA-256',
  reveal: '在文件管理器中显示',
  more: '适配器与文件夹',
  export: '导出…',
  exportTitle: (name) => `导出 ${name}`,
  format: '格式',
  formats: {
    peft: { title: '适配器（PEFT）', about: '体积小。常用的库可将其加载到基础模型上。' },
    merged: {
      title: '完整模型（safetensors）',
      about: '权重中已含适配器的基础模型。每个参数占 4 字节。',
    },
    gguf: {
      title: '完整模型（GGUF）',
      about: '供 llama.cpp 及基于它的程序使用的单个文件。每个参数占 1 字节：权重舍入为八位。',
    },
    onnx: { title: '完整模型（ONNX）', about: '供 ONNX Runtime 使用的图。每个参数占 4 字节。' },
  },
  noModel: '不可用：其基础模型不在本机。请在设置中获取。',
  choose: '选择位置…',
  missingFolder: '请先选择位置',
  exportNow: '导出',
  exporting: '正在导出',
  exported: (count) => `已写入 ${count} 个文件：`,
  exportFailed: '没有导出任何内容',
  leavesNote:
    '导出的内容不再受 Tributary 看管。其中不含数据行，但它从中学习，可能会重复其中的词句：请按贵机构的规定转交。',
  delete: '删除…',
  deleteTitle: (name) => `删除 ${name}？`,
  deleteSentences: [
    '本机上的文件夹会被删除。',
    '数据集、账本和已导出的内容会保留。',
    '其他站点和中心保留各自的副本。',
  ],
  deleteFailed: '未能删除',
};
