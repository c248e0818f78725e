#!/usr/bin/env bash
# The Heidelberg probing study of Llama-2-7B: answers to 70 open questions a language, with the neurons
# of each language at 0. The study identified each language alone, where every entropy is 0 and neurons
# are picked by chance; here the three are identified together.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
MODEL="${MODEL:-meta-llama/Llama-2-7b-hf}"
LANGUAGES="${LANGUAGES:-en de tr}"
TEXTS="${TEXTS:-texts}" # TEXTS/tr.txt and so on, one text a line, of Wikipedia
TOKENS="${TOKENS:-100M}"
TOP_RATE="${TOP_RATE:-0.01}"
TASK="${TASK:-lsn_mvicuna}"
METRIC="${METRIC:-lsn_language_accuracy}" # or mean_length
CONTROLS="${CONTROLS:-5}"
OUT="${OUT:-heidelberg_probing}"
mkdir -p "$OUT"

texts=() tasks=
for language in $LANGUAGES; do
  texts+=(--texts "$language=$TEXTS/$language.txt")
  tasks+="${tasks:+,}${TASK}_$language"
done
[ -f "$OUT/stats.safetensors" ] || lsn-eval record --model "$MODEL" "${texts[@]}" \
  --tokens "$TOKENS" --statistics counts ${RECORD_ARGS:-} --out "$OUT/stats.safetensors"
lsn-eval identify "$OUT/stats.safetensors" --method lape --top-rate "$TOP_RATE" --force \
  --controls "$CONTROLS" --out "$OUT/lape.safetensors"
lsn-eval sweep --model "$MODEL" --mask "$OUT/lape.safetensors" --tasks "$tasks" \
  --each zero --controls "$CONTROLS" ${SWEEP_ARGS:-} --out "$OUT/sweep"
lsn-eval compare "$OUT/sweep" --metric "$METRIC"
lsn-eval compare "$OUT/sweep" --metric "$METRIC" --out "$OUT/generations.csv"
python "$here/../beside_published.py" "$here" generations "$OUT/generations.csv" \
  --where "control_of="
