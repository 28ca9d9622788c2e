/** @file What columns are called, in English and Chinese, by what they hold. The likelier names come first. */

export type Role =
  | 'instruction'
  | 'input'
  | 'response'
  | 'label'
  | 'text'
  | 'chosen'
  | 'rejected'
  | 'messages'
  | 'person'
  | 'document';

const NAMES: Readonly<Record<Role, readonly string[]>> = {
  instruction: [
    ...[
      'instruction',
      'instructions',
      'question',
      'prompt',
      'query',
      'problem',
      'task',
      'goal',
      'request',
      'ask',
    ],
    ...['user', 'human', 'title', '问题', '指令', '提问', '提示', '题目', '问', '患者提问', '主诉'],
  ],
  input: [
    ...['input', 'context', 'passage', 'background', 'abstract', 'document', 'article', 'contexts'],
    ...['输入', '上下文', '背景', '材料', '原文'],
  ],
  response: [
    ...[
      'response',
      'output',
      'answer',
      'completion',
      'reply',
      'solution',
      'target',
      'assistant',
      'gpt',
      'chatgpt',
    ],
    ...['canonical_solution', 'long_answer', 'best_answer', 'answers', 'responses', 'code'],
    ...['回答', '答案', '输出', '回复', '答复', '解答', '答', '医生回答'],
  ],
  label: [
    ...[
      'label',
      'labels',
      'category',
      'class',
      'intent',
      'sentiment',
      'topic',
      'department',
      'diagnosis',
      'triage',
    ],
    ...['标签', '类别', '分类', '科室', '意图', '情感', '诊断'],
  ],
  text: [
    ...['text', 'sentence', 'message', 'utterance', 'tweet', 'note', 'document', 'report', 'content', 'body'],
    ...[
      'description',
      'complaint',
      'review',
      'comment',
      'headline',
      'news',
      '文本',
      '内容',
      '句子',
      '描述',
      '病历',
    ],
  ],
  chosen: ['chosen', 'preferred', 'accepted', 'better', 'response_chosen', '优选', '更好'],
  rejected: ['rejected', 'dispreferred', 'refused', 'worse', 'response_rejected', '拒绝', '较差'],
  messages: [
    'messages',
    'conversations',
    'conversation',
    'dialogue',
    'dialog',
    'chat',
    'turns',
    '对话',
    '消息',
  ],
  person: [
    ...[
      'patient_id',
      'patientid',
      'patient',
      'subject_id',
      'person_id',
      'person',
      'mrn',
      'nhs_number',
      'customer_id',
    ],
    ...[
      'customerid',
      'customer',
      'client_id',
      'client',
      'user_id',
      'member_id',
      'account_id',
      'account',
      'citizen_id',
    ],
    ...['患者编号', '患者id', '病人编号', '病历号', '住院号', '客户编号', '客户id', '身份证号', '用户id'],
  ],
  document: [
    ...[
      'document_id',
      'doc_id',
      'report_id',
      'note_id',
      'hadm_id',
      'encounter_id',
      'visit_id',
      'study_id',
      'case_id',
    ],
    ...['pmid', 'article_id', 'url', 'link', '文档编号', '报告编号', '病例编号'],
  ],
};

/** Pairs of columns of which the second is what the first is written down to. */
export const SUMMARIES: readonly { readonly from: string; readonly to: string; readonly ask: string }[] = [
  { from: 'findings', to: 'impression', ask: 'Summarise: {findings}' },
  { from: 'article', to: 'highlights', ask: 'Summarise: {article}' },
  { from: 'article', to: 'summary', ask: 'Summarise: {article}' },
  { from: 'document', to: 'summary', ask: 'Summarise: {document}' },
  { from: 'dialogue', to: 'summary', ask: 'Summarise: {dialogue}' },
  { from: 'note', to: 'summary', ask: 'Summarise: {note}' },
  { from: 'report', to: 'summary', ask: 'Summarise: {report}' },
  { from: 'report', to: 'impression', ask: 'Summarise: {report}' },
  { from: 'text', to: 'summary', ask: 'Summarise: {text}' },
  { from: 'content', to: 'summary', ask: 'Summarise: {content}' },
  { from: '检查所见', to: '诊断意见', ask: '总结：{检查所见}' },
  { from: '影像所见', to: '影像诊断', ask: '总结：{影像所见}' },
  { from: '影像所见', to: '诊断意见', ask: '总结：{影像所见}' },
  { from: '现病史', to: '诊断', ask: '总结：{现病史}' },
];

/** A name without case, blanks, dashes and underscores. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[\s_-]+/g, '');
}

/** How well a name fits a role: 1 for the likeliest name, less for the others, 0 for none. */
export function fitOfName(name: string, role: Role): number {
  const names = NAMES[role];
  const at = names.findIndex((known) => plain(known) === plain(name));
  return at < 0 ? 0 : 1 - at / (2 * names.length);
}

/** Of some columns the one whose name fits a role best, or null where none does. */
export function bestFor<C extends { readonly name: string }>(columns: readonly C[], role: Role): C | null {
  let best: { column: C; fit: number } | null = null;
  for (const column of columns) {
    const fit = fitOfName(column.name, role);
    if (fit > (best?.fit ?? 0)) best = { column, fit };
  }
  return best?.column ?? null;
}

/** The column with one of these names whatever its case. */
export function named<C extends { readonly name: string }>(columns: readonly C[], name: string): C | null {
  return columns.find((column) => plain(column.name) === plain(name)) ?? null;
}
