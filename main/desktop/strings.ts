/** @file What the program says outside its page, in both languages: tray, notices, menus. */

export interface Words {
  readonly open: string;
  readonly quit: string;
  readonly idle: string;
  readonly training: string;
  readonly trainingRound: (round: number, rounds: number) => string;
  readonly waiting: string;
  readonly offline: string;
  readonly notJoined: string;
  readonly runCompleted: (run: string) => string;
  readonly runFailed: (run: string) => string;
  readonly runWaits: (run: string) => string;
  readonly goesOn: string;
  readonly updateReady: string;
  readonly keepsCrashing: string;
}

const en: Words = {
  open: 'Open Tributary',
  quit: 'Quit',
  idle: 'Nothing to do',
  training: 'Training',
  trainingRound: (round, rounds) => `Training, round ${round} of ${rounds}`,
  waiting: 'A run waits for your decision',
  offline: 'The hub is not reached',
  notJoined: 'No federation yet',
  runCompleted: (run) => `${run} is complete.`,
  runFailed: (run) => `${run} has failed. The window says why.`,
  runWaits: (run) => `${run} waits for your decision.`,
  goesOn: 'Tributary goes on taking part. To end it, choose Quit in the menu of its icon.',
  updateReady: 'A new version is here. It is installed when you quit.',
  keepsCrashing: 'The window ends again and again. Training goes on; restart this computer when it can be.',
};

const zh: Words = {
  open: '打开 Tributary',
  quit: '退出',
  idle: '当前没有任务',
  training: '正在训练',
  trainingRound: (round, rounds) => `正在训练，第 ${round} 轮，共 ${rounds} 轮`,
  waiting: '有一项运行等待您的决定',
  offline: '无法连接中心',
  notJoined: '尚未加入联邦',
  runCompleted: (run) => `${run} 已完成。`,
  runFailed: (run) => `${run} 已失败。窗口中说明了原因。`,
  runWaits: (run) => `${run} 等待您的决定。`,
  goesOn: 'Tributary 继续参与联邦。要结束它，请在其图标的菜单中选择“退出”。',
  updateReady: '新版本已就绪，将在退出时安装。',
  keepsCrashing: '窗口反复意外结束。训练仍在继续；请在方便时重启此计算机。',
};

export const WORDS = { en, 'zh-CN': zh } as const;

/** @param system language of the system, for a person who has chosen none */
export function wordsFor(chosen: keyof typeof WORDS | null, system: string): Words {
  return WORDS[chosen ?? (system.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en')];
}
