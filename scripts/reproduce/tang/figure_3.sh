#!/usr/bin/env bash
# Tang et al. (2024), figure 3: perplexity against the number of neurons, by the share of all neurons
# that LAPE keeps.
source "$(dirname "$0")/neurons.inc"

RATES="${RATES:-0.01..0.10:0.01}"

mkdir -p "$OUT/figure_3"
lsn-eval identify "$OUT/stats.safetensors" --method lape --sweep "top_rate=$RATES" --force \
  --controls "$CONTROLS" --out "$OUT/figure_3/lape.safetensors"
for mask in "$OUT"/figure_3/lape.*.safetensors; do
  lsn-eval sweep --model "$MODEL" --mask "$mask" --tasks "$(of "$TASK")" \
    --conditions "$(each L:zero)" ${SWEEP_ARGS:-} --out "${mask%.safetensors}"
done
lsn-eval plot dose "$OUT/figure_3" --by neurons --metric "$METRIC" --out "$OUT/figure_3.pdf"
lsn-eval compare "$OUT/figure_3" --metric "$METRIC" --out "$OUT/figure_3.csv"
for language in $LANGUAGES; do
  echo "Perplexity of $language by its number of neurons at 0"
  beside figure_3 "$OUT/figure_3.csv" --where "condition=$language:zero" \
    --where "language=$language" --row neurons --column language
done
