#!/usr/bin/env bash
# Tang et al. (2024), table 2: how many neurons LAPE finds for each language.
source "$(dirname "$0")/neurons.inc"

lsn-eval mask info "$OUT/lape.safetensors" --json > "$OUT/lape.json"
beside table_2 "$OUT/lape.json" --at neurons
