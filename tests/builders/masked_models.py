"""Tiny masked language models with random weights, and tokenizers like mBERT's and XLM-R's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

WORDS = ["paris", "rom", "bern", "wurde", "in", "geboren", "von", "der", "stadt", "a", "b", "c"]
KINDS = ("bert", "xlm-roberta")
LAYERS, WIDTH = 2, 48
_PIECES = [*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZäöüé巴黎在生于的0123456789.,-'?!"]


def masked_tokenizer(kind: str) -> Any:
    """WordPiece with [CLS] and [SEP], or SentencePiece's unigrams, where a space is a token of its
    own before what is no known word."""
    if kind == "bert":
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *_PIECES]
        vocab = dict.fromkeys([*words, *(f"##{piece}" for piece in _PIECES)])
        return transformers.BertTokenizer(
            vocab={token: number for number, token in enumerate(vocab)}, do_lower_case=False
        )
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    words = [(f"▁{word}", -3.0) for word in WORDS if len(word) > 1]
    pieces = [(piece, -6.0) for piece in ("▁", *_PIECES)]
    return transformers.XLMRobertaTokenizer(vocab=[*special, *words, *pieces, ("<mask>", 0.0)])


def masked_model(kind: str, tokenizer: Any, positions: int = 40, favour: float = 0.0) -> Any:
    """Two layers of 48 neurons; `positions` tokens of a text fit. Tokens of cities can be favoured,
    so that masks are filled with them more often than by chance."""
    settings = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": LAYERS,
        "num_attention_heads": 4, "intermediate_size": WIDTH, "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.6, "type_vocab_size": 2 if kind == "bert" else 1,
    }  # fmt: skip
    torch.manual_seed(0)
    if kind == "bert":
        config: Any = transformers.BertConfig(max_position_embeddings=positions, **settings)
        model: Any = transformers.BertForMaskedLM(config)
        bias = model.cls.predictions.decoder.bias
    else:
        config = transformers.XLMRobertaConfig(max_position_embeddings=positions + 2, **settings)
        model = transformers.XLMRobertaForMaskedLM(config)
        bias = model.lm_head.decoder.bias
    cities = tokenizer(" ".join([*WORDS[:3], "stadt 巴黎"]), add_special_tokens=False)["input_ids"]
    bias.data[cities] += favour
    return model.eval()


def save_masked(folder: Path, kind: str, **options: Any) -> str:
    """A checkpoint with its tokenizer."""
    tokenizer = masked_tokenizer(kind)
    masked_model(kind, tokenizer, **options).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
