#!/usr/bin/env bash
# Tang et al. (2024), figure 6: which language dominates which.
source "$(dirname "$0")/neurons.inc"

layers
lsn-eval plot dominance "$OUT/layers.json" --out "$OUT/figure_6.pdf"
for layer in ${SHOWN_LAYERS:-0 15 31}; do
  echo "Layer $layer: each language (row) mapped onto each other (column)"
  beside figure_6 "$OUT/layers.json" --at records --where quantity=dominance \
    --where "layer=$layer" --row row --column column
done
