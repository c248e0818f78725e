#!/usr/bin/env bash
# Zhao et al. (2024), P@1 of mLAMA's facts in 53 languages, full and partial matches, as the authors'
# notebook table_for_all_p1 prints them.
source "$(dirname "$0")/../shared.inc"
CLASS="${CLASS:-lsn_mlm}"
MODEL="${MODEL:-bert-base-multilingual-cased}" # and xlm-roberta-large
LANGUAGES="${LANGUAGES:-af ar az be bg bn ca ceb cs cy da de el en es et eu fa fi fr ga gl he hi hr hu hy \
id it ja ka ko la lt lv ms nl pl pt ro ru sk sl sq sr sv ta th tr uk ur vi zh}"
DATA="${DATA:-data}" # holds mlama1.1
BATCH_SIZE="${BATCH_SIZE:-128}"
DEVICE="${DEVICE:-cuda}"
OUT="${OUT:-zhao_facts}"
mkdir -p "$OUT"

[ -d "$OUT/results" ] || lm_eval --model "$CLASS" --model_args "pretrained=$MODEL,condition=none" \
  --tasks "$(of lsn_mlama)" --metadata "{\"data_root\": \"$DATA\"}" --batch_size "$BATCH_SIZE" \
  --device "$DEVICE" --log_samples --output_path "$OUT/results"
lsn-eval compare "$OUT/results" --metric full_match,partial_match --out "$OUT/p1.csv"
beside p1 "$OUT/p1.csv" --row language --column metric --where condition=none
