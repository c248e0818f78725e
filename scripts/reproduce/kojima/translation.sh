#!/usr/bin/env bash
# Kojima et al. (2024): BLEU of 100 sentences of FLORES-200 translated from English where the prompt does
# not name the language, without and with a language's 2000 neurons at their median.
source "$(dirname "$0")/../shared.inc"
MODEL="${MODEL:-meta-llama/Llama-2-7b-hf}"
LANGUAGES="${LANGUAGES:-de fr zh}"
TEXTS="${TEXTS:-texts}" # TEXTS/de.txt and so on, one text a line: 500 sentences each
HOOKPOINTS="${HOOKPOINTS:-mlp.gate,mlp.up,mlp.down,attn.q,attn.k,attn.v,attn.o}" # all linear layers
NEURONS="${NEURONS:-2000}"
TASK="${TASK:-lsn_flores_en}"
METADATA="${METADATA:-lines=100}" # and data_root=DIR
METRIC="${METRIC:-bleu}"
OUT="${OUT:-kojima/translation}"

recorded --per-text --hookpoint "$HOOKPOINTS"
lsn-eval identify "$OUT/stats.safetensors" --method average_precision --controls 0 --force \
  --neurons "$NEURONS" --out "$OUT/mask.safetensors"
lsn-eval sweep --model "$MODEL" --mask "$OUT/mask.safetensors" --tasks "$(of "$TASK")" \
  --conditions "$(each L:median)" --metadata "$METADATA" ${SWEEP_ARGS:-} --out "$OUT/sweep"
lsn-eval compare "$OUT/sweep" --metric "$METRIC" --out "$OUT/translation.csv"
beside translation "$OUT/translation.csv"
