#!/usr/bin/env bash
# Kojima et al. (2024): how many of 100 free generations are in a language whose N neurons are set to
# their median, against N; the half of highest and the half of lowest average precision, or one end.
source "$(dirname "$0")/../shared.inc"
MODEL="${MODEL:-bigscience/bloom-560m}"
LANGUAGES="${LANGUAGES:-de en es fr ja zh}"
TEXTS="${TEXTS:-texts}" # TEXTS/de.txt and so on, one text a line: 500 sentences each
HOOKPOINTS="${HOOKPOINTS:-mlp.up,mlp.down,attn.q,attn.k,attn.v,attn.o}" # all linear layers
MASKS="${MASKS:-2_both 20_both 200_both 2000_both 20000_both 200000_both 1000_top 1000_bottom}"
TASK="${TASK:-lsn_langacc}"
OUT="${OUT:-kojima/accuracy}"

recorded --per-text --hookpoint "$HOOKPOINTS"
table="$OUT/accuracy.csv"
rm -f "$table"
for mask in $MASKS; do
  lsn-eval identify "$OUT/stats.safetensors" --method average_precision --controls 0 --force \
    --neurons "${mask%_*}" --end "${mask#*_}" --out "$OUT/$mask.safetensors"
  lsn-eval sweep --model "$MODEL" --mask "$OUT/$mask.safetensors" --tasks "$(of "$TASK")" \
    --conditions "$(each L:median)" ${SWEEP_ARGS:-} --out "$OUT/sweep/$mask"
  lsn-eval compare "$OUT/sweep/$mask" --metric lsn_language_accuracy --out "$OUT/$mask.csv"
  [ -f "$table" ] || sed -n "1s/^/neurons_of,/p" "$OUT/$mask.csv" >"$table"
  sed "1d;s/^/$mask,/" "$OUT/$mask.csv" >>"$table"
done
beside accuracy "$table" --row neurons_of \
  --where "condition={language}:median"
