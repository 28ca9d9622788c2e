/** @file The first screen. */

import type { Catalogue } from '../en.ts';

export const welcome: Catalogue['welcome'] = {
  title: '共同学习，数据留在本地。',
  lead: 'Tributary 与其他机构一起训练语言模型。您的数据行留在本机；离开的只是模型从中学到的内容，每个字节都会计数并显示给您。',
  joinTitle: '凭邀请加入',
  joinLead: '联邦的协调员已发给您一行文字或一个文件。请粘贴或拖放到此处。',
  invitation: '邀请',
  placeholder: 'tributary1.…',
  drop: '松开即可读取',
  notInvitation: '邀请是以“tributary1.”开头的一行文字',
  federation: '联邦',
  hub: '中心',
  expires: '有效期至',
  expired: '此邀请已过期。请向协调员索取新的邀请。',
  fingerprint: '中心的指纹',
  compare: '请协调员通过电话读给您听。只要有一个字符不同，就不要加入。',
  siteName: '您的站点名称',
  siteHint: '其他成员和中心会看到它，例如“北方医院”。',
  siteFixed: '此名称由协调员选定。',
  join: '加入',
  joining: '正在加入…',
  missingInvitation: '粘贴邀请后即可加入',
  missingName: '为站点命名后即可加入',
  failed: '加入未成功',
  aloneTitle: '单独试用',
  aloneText: '用内置的三家虚构诊所的样例数据进行训练。没有任何内容离开本机，也无需征得任何人同意。',
  alone: '四处看看并单独训练',
  hostTitle: '架设中心',
  hostText: '中心汇总各站点学到的内容，运行在所有站点都能访问的服务器上。两条命令即可完成：',
  hostMore: '然后用“tributary hub ui”打开它的窗口并邀请各站点。',
};
