#!/usr/bin/env python3
"""Loads an adapter folder with PEFT on the same base model and prints logits, to be compared with Tributary's.

    python3 test/interop/peft_logits.py MODEL.gguf ADAPTER TOKENS.json OUT.json

TOKENS.json holds rows of token ids. OUT.json receives, for each row, the logits of its last position, with the adapter
and without it. Needs torch, transformers, peft and gguf.
"""

import json
import os
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

model_file, adapter, tokens_file, out_file = sys.argv[1:]
base = AutoModelForCausalLM.from_pretrained(
    os.path.dirname(model_file), gguf_file=os.path.basename(model_file), dtype=torch.float32
)
model = PeftModel.from_pretrained(base, adapter).eval()
rows = json.load(open(tokens_file, encoding="utf-8"))
result = []
with torch.no_grad():
    for row in rows:
        ids = torch.tensor([row])
        with_adapter = model(input_ids=ids).logits[0, -1]
        with model.disable_adapter():
            without = model(input_ids=ids).logits[0, -1]
        result.append({"adapter": with_adapter.tolist(), "base": without.tolist()})
json.dump(result, open(out_file, "w", encoding="utf-8"))
print(json.dumps({"rows": len(result), "changed": max(abs(a - b) for r in result for a, b in zip(r["adapter"], r["base"]))}))
