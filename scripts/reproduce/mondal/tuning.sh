#!/usr/bin/env bash
# Mondal et al. (2025), zero-shot transfer after tuning: LoRA on a language's neurons, on as many
# random ones, and on whole layers, trained on English XNLI with a classification head. As in the
# authors' public code a neuron is its row of the gate projection, and attention is tuned as a whole
# in every adapter; `none` is attention and head alone.
# XQuAD: KIND=lsn_hf HEAD= TASK=lsn_xquad METRIC=f1 DATA=lsn_xquad_en EXAMPLES=952, the first 80 %.
source "$(dirname "$0")/../shared.inc"
MODEL="${MODEL:-meta-llama/Llama-3.1-8B}"
MASK="${MASK:-mondal/lape.safetensors}" # of ppxc.sh
LANGUAGES="${LANGUAGES:-en vi hi ur}"
TUNED="${TUNED:-vi}" # whose neurons; en,vi for both
DATA="${DATA:-lsn_xnli_en}"
EXAMPLES="${EXAMPLES:-98175}" # a quarter of XNLI's
HEAD="${HEAD---head}"
KIND="${KIND:-lsn_classifier}"
TASK="${TASK:-lsn_xnli}"
METRIC="${METRIC:-acc}"
TUNING_ARGS="${TUNING_ARGS:---layers mlp.gate --whole attn --dtype bfloat16 --learning-rate 1e-5
  --training weight_decay=0.1,adam_beta1=0.95,max_grad_norm=10,warmup_steps=0.01}"
OUT="${OUT:-mondal}"

lsn-eval finetune --model "$MODEL" --mask "$MASK" --language "$TUNED" --data "$DATA" $HEAD \
  --documents "$EXAMPLES" --controls "${CONTROLS:-5}" $TUNING_ARGS --out "$OUT/adapters"
for adapter in "$OUT"/adapters/*/; do
  lm_eval --model "$KIND" --tasks "$(of "$TASK")" --log_samples ${EVALUATION_ARGS:-} \
    --model_args "pretrained=$MODEL,condition=none,peft=${adapter%/}" \
    --output_path "$OUT/tuned/$(basename "$adapter")"
done
lsn-eval compare "$OUT/tuned" --metric "$METRIC" --intervals
lsn-eval compare "$OUT/tuned" --metric "$METRIC" --out "$OUT/tuning.csv"
beside tuning "$OUT/tuning.csv" --where control_of=
