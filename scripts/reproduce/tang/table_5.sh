#!/usr/bin/env bash
# Tang et al. (2024), table 5: questions in each language, answered in TARGET, with the neurons of the
# question's language at 0 and those of the target at their mean. With JUDGE the answers are graded.
source "$(dirname "$0")/neurons.inc"

TARGET="${TARGET:-zh}"
TABLE="${TABLE:-table_5}"
STATISTIC="${STATISTIC:-mean}"

for source in $LANGUAGES; do
  [ "$source" != "$TARGET" ] || continue
  conditions="none,$source:zero/$TARGET:$STATISTIC"
  for control in $(seq "$CONTROLS"); do
    conditions+=",random$control-$source:zero/random$control-$TARGET:$STATISTIC"
  done
  lsn-eval sweep --model "$MODEL" --mask "$OUT/lape.safetensors" --tasks "${ANSWERS}_$source" \
    --conditions "$conditions" ${SWEEP_ARGS:-} --out "$OUT/$TABLE/$source"
done
lsn-eval compare "$OUT/$TABLE" --metric "lsn_target_accuracy_$TARGET" --out "$OUT/$TABLE.csv"
beside "$TABLE" "$OUT/$TABLE.csv" --where control_of=
[ -z "${JUDGE:-}" ] || lsn-eval judge "$OUT/$TABLE" --model "$JUDGE" --out "$OUT/$TABLE.graded.json"
