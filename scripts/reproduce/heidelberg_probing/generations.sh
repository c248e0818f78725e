#!/usr/bin/env bash
# The Heidelberg probing study of Llama-2-7B: answers to 70 open questions a language, with the neurons
# of each language at 0. The study identified each language alone, where every entropy is 0 and neurons
# are picked by chance; here the three are identified together.
source "$(dirname "$0")/../shared.inc"
MODEL="${MODEL:-meta-llama/Llama-2-7b-hf}"
LANGUAGES="${LANGUAGES:-en de tr}"
TEXTS="${TEXTS:-texts}" # TEXTS/tr.txt and so on, one text a line, of Wikipedia
TOKENS="${TOKENS:-100M}"
TOP_RATE="${TOP_RATE:-0.01}"
TASK="${TASK:-lsn_mvicuna}"
METRIC="${METRIC:-lsn_language_accuracy}" # or mean_length
CONTROLS="${CONTROLS:-5}"
OUT="${OUT:-heidelberg_probing}"

recorded --tokens "$TOKENS" --statistics counts
lsn-eval identify "$OUT/stats.safetensors" --method lape --top-rate "$TOP_RATE" --force \
  --controls "$CONTROLS" --out "$OUT/lape.safetensors"
lsn-eval sweep --model "$MODEL" --mask "$OUT/lape.safetensors" --tasks "$(of "$TASK")" \
  --each zero --controls "$CONTROLS" ${SWEEP_ARGS:-} --out "$OUT/sweep"
lsn-eval compare "$OUT/sweep" --metric "$METRIC"
lsn-eval compare "$OUT/sweep" --metric "$METRIC" --out "$OUT/generations.csv"
beside generations "$OUT/generations.csv" --where control_of=
