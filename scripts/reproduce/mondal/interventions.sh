#!/usr/bin/env bash
# Mondal et al. (2025), a task under interventions: the neurons of each language at their mean, P90,
# P10 and 0 while its own task is answered. TASK=lsn_xquad METRIC=f1 for XQuAD (which has no ur).
# With PEFT=ADAPTER, a folder that tuning.sh made without a head, the tuned model is intervened on.
source "$(dirname "$0")/../shared.inc"
MODEL="${MODEL:-meta-llama/Llama-3.1-8B}"
MASK="${MASK:-mondal/lape.safetensors}" # of ppxc.sh
LANGUAGES="${LANGUAGES:-en vi hi ur}"
VALUES="${VALUES:-mean p90 p10 zero}"
TASK="${TASK:-lsn_xnli}"
METRIC="${METRIC:-acc}"
OUT="${OUT:-mondal}"
mkdir -p "$OUT"
CONTROLS="${CONTROLS:-5}"

values=()
for value in $VALUES; do values+=("L:$value"); done
lsn-eval sweep --model "$MODEL" --mask "$MASK" --tasks "$(of "$TASK")" \
  --conditions "$(each "${values[@]}")" ${PEFT:+--model-args peft=$PEFT} ${SWEEP_ARGS:-} --out "$OUT/$TASK"
lsn-eval compare "$OUT/$TASK" --metric "$METRIC" --intervals
lsn-eval compare "$OUT/$TASK" --metric "$METRIC" --out "$OUT/interventions.csv"
beside interventions "$OUT/interventions.csv" --where control_of=
