"""Thirty model types by which `lsn_eval.models.structure` is judged, their rows written by hand.

They were drawn, and the rows written from the modelling source of transformers 5.23.0, before there
was any such resolver. Drawn from `POOL`: every type that `builders.any_type` builds and runs from
tokens alone, without a row and not refused by name, and without experts in its default config.
A text in the place of a row says why the type has to be refused.
The three that are `CORRECTED` had rows at first, which named modules that exist.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from lsn_eval.models.families import FAMILIES, Attention, Family, Part, Stack

POOL = """
albert audioflamingo3 bert-generation big_bird bigbird_pegasus bitnet blenderbot-small codegen
convbert cpmant ctrl deberta diffllama emu3 encoder-decoder esm falcon_mamba flaubert fnet fsmt
funnel fuyu gemma4 gemma4_text gemma4_unified gemma4_unified_text git glmasr got_ocr2 gpt-sw3
granite_speech granite_speech_plus granite_swa gte hrm_text hyperclovax ibert internlm3
iquestcoder jina_embeddings_v3 layoutlm led lfm2 lfm3 longformer longt5 luke minicpm3 mllama
mobilebert modernvbert moshi moss_transcribe_diarize mpnet mra musicflamingo mvp nomic_bert
nystromformer openai-gpt pegasus_x phi4_multimodal prophetnet qwen2_audio qwen3_5 qwen3_asr
roberta-prelayernorm roc_bert roformer rwkv seamless_m4t seamless_m4t_v2 squeezebert t5gemma
t5gemma2 tapas trocr ultrabert ultravbert voxtral whisper xlm xlnet yoso youtu
"""

DRAWN = sorted(random.Random(30).sample(POOL.split(), 30))

_LLAMA = FAMILIES["llama"][0]
_BERT = FAMILIES["bert"][0]


def _llama(layers: str) -> Family:
    return (replace(_LLAMA, layers=(layers,)),)


def _bert(layers: str) -> Family:
    return (replace(_BERT, layers=(layers,)),)


def _t5gemma2() -> Family:
    encoder = replace(_LLAMA, name="encoder", layers=("model.encoder.text_model.layers",))
    # Key and value project the layer's own states and the encoder's, with the same weights.
    decoder = replace(_LLAMA, layers=("model.decoder.layers",), attention=None)
    return encoder, decoder


def _funnel() -> Family:
    # The tiny config has one layer in each block.
    def stack(layers: str, before: str) -> Stack:
        return Stack(
            layers=(layers,),
            act=f"{before}ffn.activation_function",
            gate=None,
            up=f"{before}ffn.linear_1",
            down=f"{before}ffn.linear_2",
            attention=Attention.named(f"{before}attention.{{}}", "q_head k_head v_head post_proj"),
        )

    encoder = replace(stack("funnel.encoder.blocks", "0."), name="encoder")
    return encoder, stack("funnel.decoder.layers", "")


_SHARED = "one activation module is run for every layer"
_FUNCTION = "the activation is a function, and no module"

HELD_BACK: Mapping[str, Family | str] = {
    "albert": "one layer's modules are run for every layer",
    "audioflamingo3": _llama("model.language_model.layers"),
    "big_bird": _bert("bert.encoder.layer"),
    "blenderbot-small": FAMILIES["bart"],
    "convbert": _bert("convbert.encoder.layer"),
    "cpmant": (
        Stack(
            layers=("cpmant.encoder.layers",),
            act="ffn.ffn.w_in.act",
            gate="ffn.ffn.w_in.w_0",
            up="ffn.ffn.w_in.w_1",
            down="ffn.ffn.w_out",
            attention=Attention.named(
                "self_att.self_attention.{}", "project_q project_k project_v attention_out"
            ),
        ),
    ),
    "ctrl": (
        Stack(
            layers=("transformer.h",),
            act="ffn.1",
            gate=None,
            up="ffn.0",
            down="ffn.2",
            attention=Attention.named("multi_head_attention.{}", "Wq Wk Wv dense"),
        ),
    ),
    "esm": _FUNCTION,
    "flaubert": _SHARED,
    "funnel": _funnel(),
    "gemma4_unified_text": _llama("model.layers"),
    "git": _bert("git.encoder.layer"),
    "granite_speech_plus": _llama("model.language_model.layers"),
    "granite_swa": _llama("model.layers"),
    "ibert": "every module returns a value and its scale, and values are quantised in between",
    "internlm3": _llama("model.layers"),
    "lfm3": _FUNCTION,
    "longformer": _bert("longformer.encoder.layer"),
    "mllama": _llama("model.layers"),
    "modernvbert": (replace(FAMILIES["modernbert"][0], layers=("model.text_model.layers",)),),
    "moshi": (
        replace(
            _LLAMA,
            layers=("model.layers",),
            act="mlp.activation_fn",
            gate=Part("mlp.fc1", 0, of=2),
            up=Part("mlp.fc1", 1, of=2),
            down="mlp.fc2",
            attention=Attention.named(
                "self_attn.{}.linear",
                "q_proj k_proj v_proj o_proj",
            ),
        ),
    ),
    "openai-gpt": _SHARED,
    "qwen3_asr": _llama("model.language_model.layers"),
    "roberta-prelayernorm": _bert("roberta_prelayernorm.encoder.layer"),
    "rwkv": _FUNCTION,
    "t5gemma2": _t5gemma2(),
    "tapas": _bert("tapas.encoder.layer"),
    "ultravbert": _llama("model.text_model.layers"),
    "voxtral": _llama("model.language_model.layers"),
    "xlm": _SHARED,
}
assert sorted(HELD_BACK) == DRAWN

CORRECTED = ("flaubert", "openai-gpt", "xlm")

LESS: Mapping[str, str] = {
    **dict.fromkeys(("convbert", "cpmant", "git", "longformer", "tapas"), "without attention"),
    **dict.fromkeys(("big_bird", "funnel"), "it refuses though a row would fit"),
}
"""What the resolver finds less of than the row has; `docs/models.md` says why."""
