/** @file What is found out about a file: how it is read and why. */

import type { Form } from '../../sentences.ts';

export const data: readonly Form[] = [
  // core/vault/guess/guess.ts
  ['The columns are named as in the public dataset {dataset}.', '列名与公开数据集 {dataset} 相同。'],
  ['{both} are two answers to {prompt}.', '{both}是对{prompt}的两个回答。'],
  [
    '{both} are dialogues ("Human: … Assistant: …") that differ in their last answer.',
    '{both}是最后一个回答不同的对话（"Human: … Assistant: …"）。',
  ],
  ['{both} end with two answers to the same messages.', '{both}以对相同消息的两个回答结尾。'],
  ['{column} holds conversations, message by message.', '{column} 含有逐条消息的对话。'],
  [
    '{question} is asked with the options of {options} and answered by {answer}.',
    '以 {options} 的选项提问 {question}，由 {answer} 回答。',
  ],
  ['{target} sums up {source}, and no column asks for it.', '{target} 概括 {source}，而没有列提出这一要求。'],
  [
    '{question} is what is asked and {answer} the answer, by their names.',
    '从列名看，{question} 是问题，{answer} 是回答。',
  ],
  [
    '{question}, with {input} after it, is what is asked and {answer} the answer, by their names.',
    '从列名看，{question}（后接 {input}）是问题，{answer} 是回答。',
  ],
  [
    '{label} holds {count} short values, as labels of {text} do.',
    '{label} 含有 {count} 个短值，像是 {text} 的标签。',
  ],
  [
    '{one} and {two} are the only columns of text; which is the answer is not certain.',
    '只有 {one} 和 {two} 两列文本；哪一列是回答并不确定。',
  ],
  ['“{one}” and “{two}”', '“{one}”和“{two}”'],
  // core/vault/readers/encoding.ts
  ['It begins with the byte-order mark of {encoding}.', '文件以 {encoding} 的字节序标记开头。'],
  ['Every other byte is zero, as in UTF-16.', '每隔一个字节为零，像是 UTF-16。'],
  [
    'It is not UTF-8, and bytes above 127 come in pairs, as in GB18030.',
    '它不是 UTF-8，大于 127 的字节成对出现，像是 GB18030。',
  ],
  [
    'It is not UTF-8, and bytes above 127 stand alone, as in Windows-1252.',
    '它不是 UTF-8，大于 127 的字节单独出现，像是 Windows-1252。',
  ],
  ['It was chosen.', '由您选择。'],
  // Rows that cannot be used.
  ['{unit} {number} of {file} has no field "{field}".', '{file} 的第 {number} 行没有字段“{field}”。'],
  ['{unit} {number} of {file} has nothing in "{field}".', '{file} 的第 {number} 行的“{field}”为空。'],
  ['{path} is empty.', '{path} 是空文件。'],
  ['{path} holds no rows.', '{path} 没有数据行。'],
  ['{path} is neither text nor Parquet.', '{path} 既不是文本也不是 Parquet。'],
  ['{path} cannot be read as Parquet.', '{path} 无法作为 Parquet 读取。'],
  [
    'The column {column} of {path} is compressed with {codec}, which cannot be read.',
    '{path} 的列 {column} 用 {codec} 压缩，无法读取。',
  ],
  ['The column “{column}” is mapped to two fields.', '列“{column}”被对应到了两个字段。'],
  ['The file has no column “{column}”.', '文件没有列“{column}”。'],
  [
    'No space is left to import "{name}"; nothing of it was kept.',
    '没有空间导入“{name}”；没有保留任何内容。',
  ],
];
