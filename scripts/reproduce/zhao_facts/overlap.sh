#!/usr/bin/env bash
# Zhao et al. (2024), facts predicted in both of two languages (Jaccard similarity). The authors'
# notebook has it as a picture alone.
source "$(dirname "$0")/../shared.inc"
OUT="${OUT:-zhao_facts}"
[ -d "$OUT/results" ] || bash "$here/p1.sh"
lsn-eval facts overlap "$OUT/results" --out "$OUT/overlap.csv"
beside overlap "$OUT/overlap.csv" --row language --column other
