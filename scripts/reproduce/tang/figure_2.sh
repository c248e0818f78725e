#!/usr/bin/env bash
# Tang et al. (2024), figure 2: how much the perplexity of each language (column) grows with the
# neurons of each language (row) at 0. LAPE's neurons at the paper's rates, on the paper's sizes.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
MODEL="${MODEL:-meta-llama/Llama-2-7b-hf}"
LANGUAGES="${LANGUAGES:-en zh fr es vi id ja}"
TEXTS="${TEXTS:-texts}" # TEXTS/de.txt and so on, one text a line, of Wikipedia
TOKENS="${TOKENS:-100M}"
TOP_RATE="${TOP_RATE:-0.01}"
TASK="${TASK:-lsn_wikippl_papers}"
METRIC="${METRIC:-chunk_perplexity}"
CONTROLS="${CONTROLS:-5}"
OUT="${OUT:-tang/figure_2}"
mkdir -p "$OUT"

texts=() conditions=none tasks=
for language in $LANGUAGES; do
  texts+=(--texts "$language=$TEXTS/$language.txt")
  conditions+=",$language:zero"
  for control in $(seq "$CONTROLS"); do conditions+=",random$control-$language:zero"; done
  tasks+="${tasks:+,}${TASK}_$language"
done

[ -f "$OUT/stats.safetensors" ] || lsn-eval record --model "$MODEL" "${texts[@]}" \
  --tokens "$TOKENS" --statistics counts ${RECORD_ARGS:-} --out "$OUT/stats.safetensors"
lsn-eval identify "$OUT/stats.safetensors" --method lape --top-rate "$TOP_RATE" --force \
  --controls "$CONTROLS" --out "$OUT/lape.safetensors"
lsn-eval sweep --model "$MODEL" --mask "$OUT/lape.safetensors" --tasks "$tasks" \
  --conditions "$conditions" ${SWEEP_ARGS:-} --out "$OUT/sweep"
lsn-eval plot heatmap "$OUT/sweep" --metric "$METRIC" --out "$OUT/figure_2.pdf"
lsn-eval compare "$OUT/sweep" --metric "$METRIC" --out "$OUT/change.csv"
python "$here/../beside_published.py" "$here" figure_2 "$OUT/change.csv" \
  --where "control_of=" --value difference
