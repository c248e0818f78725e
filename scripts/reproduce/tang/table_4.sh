#!/usr/bin/env bash
# Tang et al. (2024), table 4: answers to questions in each language without its neurons.
# With JUDGE, a model behind OPENAI_BASE_URL, the answers are graded as well.
source "$(dirname "$0")/neurons.inc"

lsn-eval sweep --model "$MODEL" --mask "$OUT/lape.safetensors" --tasks "$(of "$ANSWERS")" \
  --conditions "$(each L:zero)" ${SWEEP_ARGS:-} --out "$OUT/table_4"
lsn-eval plot bars "$OUT/table_4" --out "$OUT/table_4.pdf"
lsn-eval compare "$OUT/table_4" --metric lsn_language_accuracy --out "$OUT/table_4.csv"
beside table_4 "$OUT/table_4.csv" --where control_of=
[ -z "${JUDGE:-}" ] || lsn-eval judge "$OUT/table_4" --model "$JUDGE" --out "$OUT/table_4.graded.json"
