/** @file What the plans that come with the program are for: the comments at the head of their files, resources/plans. */

import type { Form } from '../../sentences.ts';

export const presets: readonly Form[] = [
  [
    'A first run with the model that comes with the program: answers to questions (supervised fine-tuning), ten rounds of plain averaging. Updates travel in eight bits. It suits two sites or more with some hundred examples each.',
    '使用程序自带模型的首次运行：回答问题（监督微调），十轮普通平均。更新以八位传输。适合两个或更多站点，每个站点有数百条示例。',
  ],
  [
    'A first run on preferences with the model that comes with the program: of two answers the better one (DPO), ten rounds of plain averaging. It suits two sites or more with some hundred pairs each.',
    '使用程序自带模型的首次偏好运行：在两个回答中选出较好者（DPO），十轮普通平均。适合两个或更多站点，每个站点有数百对数据。',
  ],
  [
    '{what} The reference trains {model} in eight bits; name the model you have with --model. Its LoRA dropout is off in DPO. Its reference of a pair is the base model; --start names an adapter that the run goes on from instead.',
    '{what}参考实现以八位训练 {model}；请用 --model 指定您拥有的模型。其 DPO 中不使用 LoRA 随机失活。其每对数据的参照是基础模型；也可用 --start 指定运行所接续的适配器。',
  ],
  [
    '{what} The reference trains {model} in eight bits; name the model you have with --model.',
    '{what}参考实现以八位训练 {model}；请用 --model 指定您拥有的模型。',
  ],
  [
    '{what} Batches of 16 are 4 × 4 accumulated in the reference.',
    '{what}参考实现中，每批 16 条由 4 × 4 累积而成。',
  ],
  [
    '{what} All assistant turns are supervised; batches of 16 are 4 × 4 accumulated in the reference.',
    '{what}助手的每一轮发言都参与监督；参考实现中，每批 16 条由 4 × 4 累积而成。',
  ],
  [
    'FedLLM-Bench, {set}: multilingual instruction tuning, one annotator a client.',
    'FedLLM-Bench，{set}：多语言指令微调，每个客户端一名标注者。',
  ],
  [
    'FedLLM-Bench, {set}: single-turn instruction tuning, one user a client.',
    'FedLLM-Bench，{set}：单轮指令微调，每个客户端一名用户。',
  ],
  [
    'FedLLM-Bench, {set}: preference alignment, one user a client.',
    'FedLLM-Bench，{set}：偏好对齐，每个客户端一名用户。',
  ],
  [
    'FedLLM-Bench, {set}, multi-turn: instruction tuning on whole conversations.',
    'FedLLM-Bench，{set}，多轮：以完整对话进行指令微调。',
  ],
  [
    'FedLLM-Bench, {set}, single turn: instruction tuning, one user a client.',
    'FedLLM-Bench，{set}，单轮：指令微调，每个客户端一名用户。',
  ],
  [
    'The mixed run of the OpenFedLLM paper: four clients, one domain each (general, mathematics, code, finance). No script was released; the settings are those of run_sft.sh, with every client in every round.',
    'OpenFedLLM 论文中的混合运行：四个客户端，每个一个领域（通用、数学、代码、金融）。论文未公开脚本；此处采用 run_sft.sh 的设置，且每轮都有全部客户端参加。',
  ],
  [
    'OpenFedLLM, {script}: value alignment on {set} (or {other}). Five clients with IID shards, two drawn a round.',
    'OpenFedLLM，{script}：以 {set}（或 {other}）进行价值对齐。五个客户端各持独立同分布的分片，每轮抽取两个。',
  ],
  [
    'OpenFedLLM, {script}: instruction tuning on {set}. Twenty clients with IID shards of {count} examples, two drawn a round.',
    'OpenFedLLM，{script}：以 {set} 进行指令微调。二十个客户端各持 {count} 条独立同分布的示例，每轮抽取两个。',
  ],
];
