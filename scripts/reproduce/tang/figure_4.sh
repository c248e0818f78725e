#!/usr/bin/env bash
# Tang et al. (2024), figure 4: how many neurons of each language every layer has.
source "$(dirname "$0")/neurons.inc"

lsn-eval plot layers "$OUT/lape.safetensors" --out "$OUT/figure_4.pdf"
lsn-eval mask info "$OUT/lape.safetensors" --json > "$OUT/lape.json"
beside figure_4 "$OUT/lape.json" --at neurons_per_layer
