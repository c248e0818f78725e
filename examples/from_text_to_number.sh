#!/usr/bin/env bash
# Raw text -> statistics -> mask -> a number under a condition, on the embedded model.
# Run it from anywhere; what it writes goes into the folder given, or ./from_text_to_number.
set -euo pipefail
texts="$(cd "$(dirname "$0")" && pwd)/texts"
out="${1:-from_text_to_number}"
mkdir -p "$out"

lsn-eval record --model lsn_demo --dtype float32 --one-text-per-row \
  --texts en="$texts/en.txt" --texts de="$texts/de.txt" --texts nl="$texts/nl.txt" \
  --texts ru="$texts/ru.txt" --texts ar="$texts/ar.txt" --texts zh="$texts/zh.txt" \
  --out "$out/stats.safetensors"

# The planted share is 14 %; the published 1 % is too little on so small a model.
lsn-eval identify "$out/stats.safetensors" --method lape --top-rate 0.140625 \
  --out "$out/lape.safetensors"

# The embedded model's neurons were planted, so there is an answer to compare with.
lsn-eval mask diff "$out/lape.safetensors" demo/planted

for condition in none de:zero random1-de:zero; do
  lm_eval --model lsn_hf --tasks lsn_demo_ppl_de,lsn_demo_ppl_ru --device cpu --batch_size 16 \
    --model_args "pretrained=lsn_demo,dtype=float32,mask=$out/lape.safetensors,condition=$condition" \
    --output_path "$out/results/$condition"
done
