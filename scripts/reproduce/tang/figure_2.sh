#!/usr/bin/env bash
# Tang et al. (2024), figure 2: how much the perplexity of each language (column) grows with the
# neurons of each language (row) at 0.
source "$(dirname "$0")/neurons.inc"

lsn-eval sweep --model "$MODEL" --mask "$OUT/lape.safetensors" --tasks "$(of "$TASK")" \
  --conditions "$(each L:zero)" ${SWEEP_ARGS:-} --out "$OUT/figure_2"
lsn-eval plot heatmap "$OUT/figure_2" --metric "$METRIC" --out "$OUT/figure_2.pdf"
lsn-eval compare "$OUT/figure_2" --metric "$METRIC" --out "$OUT/figure_2.csv"
beside figure_2 "$OUT/figure_2.csv" --where control_of= --value difference
