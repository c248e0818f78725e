#!/usr/bin/env bash
# Zhao et al. (2024), top-50 neurons of a fact that two languages share (PROBELESS, mean Jaccard
# similarity), among the 30 languages of the highest P@1.
source "$(dirname "$0")/../shared.inc"
MODEL="${MODEL:-bert-base-multilingual-cased}"
LANGUAGES="${LANGUAGES:-en id it de es nl pt ca tr da ms sv fr af ro vi gl fa cy el he ko zh pl ar hu hr \
cs ceb et}"
DEVICE="${DEVICE:-cuda}"
OUT="${OUT:-zhao_facts}"
export LANGUAGES
[ -d "$OUT/results" ] || bash "$here/p1.sh"
lsn-eval facts neurons "$OUT/results" --model "$MODEL" --language "${LANGUAGES// /,}" --top 50 \
  --device "$DEVICE" --rankings "$OUT/neurons.jsonl" --force --out "$OUT/neurons.csv"
beside neurons "$OUT/neurons.csv" --row language --column other
