#!/usr/bin/env bash
# Mondal et al. (2025), a task under interventions: the neurons of each language at their mean, P90,
# P10 and 0 while its own task is answered. TASK=lsn_xquad METRIC=f1 for XQuAD (which has no ur).
# With PEFT=ADAPTER, a folder that tuning.sh made without a head, the tuned model is intervened on.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
MODEL="${MODEL:-meta-llama/Llama-3.1-8B}"
MASK="${MASK:-mondal/lape.safetensors}" # of ppxc.sh
LANGUAGES="${LANGUAGES:-en vi hi ur}"
VALUES="${VALUES:-mean p90 p10 zero}"
TASK="${TASK:-lsn_xnli}"
METRIC="${METRIC:-acc}"
OUT="${OUT:-mondal}"
mkdir -p "$OUT"

conditions=none tasks=
for language in $LANGUAGES; do
  tasks+="${tasks:+,}${TASK}_$language"
  for value in $VALUES; do
    conditions+=",$language:$value"
    for control in $(seq "${CONTROLS:-5}"); do
      conditions+=",random$control-$language:$value"
    done
  done
done
lsn-eval sweep --model "$MODEL" --mask "$MASK" --tasks "$tasks" --conditions "$conditions" \
  ${PEFT:+--model-args peft=$PEFT} ${SWEEP_ARGS:-} --out "$OUT/$TASK"
lsn-eval compare "$OUT/$TASK" --metric "$METRIC" --intervals
lsn-eval compare "$OUT/$TASK" --metric "$METRIC" --out "$OUT/interventions.csv"
python "$here/../beside_published.py" "$here" interventions "$OUT/interventions.csv" \
  --where "control_of="
