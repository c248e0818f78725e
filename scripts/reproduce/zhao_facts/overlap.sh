#!/usr/bin/env bash
# Zhao et al. (2024), facts predicted in both of two languages (Jaccard similarity). The authors'
# notebook has it as a picture alone.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
OUT="${OUT:-zhao_facts}"
[ -d "$OUT/results" ] || bash "$here/p1.sh"
lsn-eval facts overlap "$OUT/results" --out "$OUT/overlap.csv"
python "$here/../beside_published.py" "$here" overlap "$OUT/overlap.csv" \
  --row language --column other
