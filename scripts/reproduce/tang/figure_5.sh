#!/usr/bin/env bash
# Tang et al. (2024), figure 5: how alike translations are in every layer, above the neurons in it.
source "$(dirname "$0")/neurons.inc"

layers
lsn-eval plot similarity "$OUT/layers.json" --mask "$OUT/lape.safetensors" --out "$OUT/figure_5.pdf"
beside figure_5 "$OUT/layers.json" --at records --where quantity=similarity --where row=all \
  --row layer --column condition
