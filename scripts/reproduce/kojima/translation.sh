#!/usr/bin/env bash
# Kojima et al. (2024): BLEU of 100 sentences of FLORES-200 translated from English where the prompt does
# not name the language, without and with a language's 2000 neurons at their median.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
MODEL="${MODEL:-meta-llama/Llama-2-7b-hf}"
LANGUAGES="${LANGUAGES:-de fr zh}"
TEXTS="${TEXTS:-texts}" # TEXTS/de.txt and so on, one text a line: 500 sentences each
HOOKPOINTS="${HOOKPOINTS:-mlp.gate,mlp.up,mlp.down,attn.q,attn.k,attn.v,attn.o}" # all linear layers
NEURONS="${NEURONS:-2000}"
TASK="${TASK:-lsn_flores_en}"
METADATA="${METADATA:-lines=100}" # and data_root=DIR
METRIC="${METRIC:-bleu}"
OUT="${OUT:-kojima/translation}"
mkdir -p "$OUT"

texts=() conditions=none tasks=
for language in $LANGUAGES; do
  texts+=(--texts "$language=$TEXTS/$language.txt")
  conditions+=",$language:median"
  tasks+="${tasks:+,}${TASK}_$language"
done

[ -f "$OUT/stats.safetensors" ] || lsn-eval record --model "$MODEL" "${texts[@]}" --per-text \
  --hookpoint "$HOOKPOINTS" ${RECORD_ARGS:-} --out "$OUT/stats.safetensors"
lsn-eval identify "$OUT/stats.safetensors" --method average_precision --controls 0 --force \
  --neurons "$NEURONS" --out "$OUT/mask.safetensors"
lsn-eval sweep --model "$MODEL" --mask "$OUT/mask.safetensors" --tasks "$tasks" \
  --conditions "$conditions" --metadata "$METADATA" ${SWEEP_ARGS:-} --out "$OUT/sweep"
lsn-eval compare "$OUT/sweep" --metric "$METRIC" --out "$OUT/translation.csv"
python "$here/../beside_published.py" "$here" translation "$OUT/translation.csv"
