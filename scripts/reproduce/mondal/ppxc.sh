#!/usr/bin/env bash
# Mondal et al. (2025), perplexity change: PPXC(i, j) is the perplexity of language j with the neurons
# of language i at 0, less the perplexity without. METHOD=lape or act_prob_90p, the paper's two.
source "$(dirname "$0")/../shared.inc"
MODEL="${MODEL:-meta-llama/Llama-3.1-8B}"
LANGUAGES="${LANGUAGES:-en vi hi ur}"
TEXTS="${TEXTS:-texts}" # TEXTS/vi.txt and so on, one text a line, of Wikipedia
TOKENS="${TOKENS:-100M}"
METHOD="${METHOD:-lape}"
METHOD_ARGS="${METHOD_ARGS:---top-rate 0.01}"
PPL_TASK="${PPL_TASK:-lsn_wikippl}"
PPL_METRIC="${PPL_METRIC:-token_perplexity}"
CONTROLS="${CONTROLS:-5}"
OUT="${OUT:-mondal}"

recorded --tokens "$TOKENS"
lsn-eval identify "$OUT/stats.safetensors" --method "$METHOD" $METHOD_ARGS --force \
  --controls "$CONTROLS" --out "$OUT/$METHOD.safetensors"
lsn-eval sweep --model "$MODEL" --mask "$OUT/$METHOD.safetensors" --tasks "$(of "$PPL_TASK")" \
  --each zero --controls "$CONTROLS" ${SWEEP_ARGS:-} --out "$OUT/ppxc_$METHOD"
lsn-eval compare "$OUT/ppxc_$METHOD" --metric "$PPL_METRIC" --show ppxc
lsn-eval compare "$OUT/ppxc_$METHOD" --metric "$PPL_METRIC" --out "$OUT/ppxc.csv"
beside ppxc "$OUT/ppxc.csv" --where control_of= --value difference
