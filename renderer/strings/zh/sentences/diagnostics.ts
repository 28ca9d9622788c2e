/** @file What the checks of diagnostics say. */

import type { Form } from '../../sentences.ts';

export const diagnostics: readonly Form[] = [
  // core/bridge/machine-report.ts
  ['{count} processor cores', '{count} 个处理器核心'],
  ['{free} free of {total}', '共 {total}，可用 {free}'],
  ['{free} are free', '可用 {free}'],
  // core/bridge/site/diagnostics.ts
  ['{model} is here', '{model} 在本机上'],
  ['{model} is missing', '缺少 {model}'],
  ['it is open', '已打开'],
  ['it cannot be used ({code})', '无法使用（{code}）'],
  ['in no federation', '未加入任何联盟'],
  ['the site is stopped', '站点已停止'],
  ['the hub is not reached', '无法连接中心'],
  ['no member any more', '已不再是成员'],
  ['the hub is reached', '已连接中心'],
  ['a run waits for approval here', '有运行正在等待本站点批准'],
  ['approved, and others are awaited', '已批准，正在等待其他站点'],
  ['a run is under way', '有运行正在进行'],
  ['a run is paused here', '有运行已在此暂停'],
  ['{state} ({code})', '{state}（{code}）'],
  ['{size} in all', '共 {size}'],
  ['{count} bytes', '{count} 字节'],
  // core/bridge/hub/diagnostics.ts
  ['{connected} of {members} are connected', '{members} 个中已连接 {connected} 个'],
  ['they carry an address', '带有地址'],
  ['they carry no address ({code})', '没有地址（{code}）'],
];
