#!/usr/bin/env python3
"""DPO steps with TRL and PEFT, to be measured beside Tributary's: see dpo.js.

    python3 test/bench/trl_dpo.py MODEL.gguf PAIRS.jsonl STEPS BATCH LENGTH

LoRA of rank 8 on all linears, float32, on the pairs (prompt as messages, chosen, rejected) in their order. Prints a line
of JSON. Needs torch, transformers, peft, trl, datasets and gguf.
"""

import json
import os
import resource
import statistics
import sys
import tempfile
import time

START = time.time()

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer

model_file, pairs_file, *numbers = sys.argv[1:]
steps, batch, length = map(int, numbers)
torch.set_num_threads(os.cpu_count())
source = {"pretrained_model_name_or_path": os.path.dirname(model_file), "gguf_file": os.path.basename(model_file)}
model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
tokenizer = AutoTokenizer.from_pretrained(**source)


def conversation(pair):
    answer = lambda text: [{"role": "assistant", "content": text}]
    return {"prompt": pair["prompt"], "chosen": answer(pair["chosen"]), "rejected": answer(pair["rejected"])}


rows = [conversation(json.loads(line)) for line in open(pairs_file, encoding="utf-8")]
tokens, seconds = [], []


class Counting(DPOTrainer):
    def training_step(self, model, inputs, *rest):
        tokens.append(int(inputs["attention_mask"].sum()))
        return super().training_step(model, inputs, *rest)


class Timing(TrainerCallback):
    def on_step_begin(self, *_, **__):
        self.begin = time.time()

    def on_step_end(self, *_, **__):
        seconds.append(time.time() - self.begin)
        self.first = getattr(self, "first", None) or time.time() - START


timing = Timing()
with tempfile.TemporaryDirectory() as folder:
    trainer = Counting(
        model=model,
        args=DPOConfig(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=batch,
            max_length=length,
            learning_rate=1e-4,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        ),
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"),
        callbacks=[timing],
    )
    trainer.train()
rates = [count / spent for count, spent in zip(tokens, seconds)]
print(
    json.dumps(
        {
            "system": "trl",
            "tokensPerSecondBest": max(rates),
            "tokensPerSecondMedian": statistics.median(rates[1:] or rates),
            "peakRssBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "secondsToFirstStep": timing.first,
        }
    )
)
