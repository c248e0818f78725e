"""Log-likelihood of chunks of tokens, for any lm-eval model that has a tokenizer.

lm-eval's requests are strings, and a chunk cut from a text is not what its own text is encoded to.
But every such model scores strings through `TemplateLM._loglikelihood_tokens`, which takes tokens,
and `evaluate` calls the method that a request's type names. A `TokenChunk` names that one, and
reads as the triple it expects: `hf`, `lsn_hf` (under its condition), `vllm` and others answer it.

A response cache (`--use_cache`) keys by strings: chunks pass it by, and are computed every time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.api.instance import Instance

REQUEST_TYPE = "_loglikelihood_tokens"


@dataclass
class TokenChunk(Instance):
    """One chunk. Its first token is context alone, the others are scored.

    `arguments` are for the log of samples: the chunk as text.
    """

    tokens: tuple[int, ...] = ()

    def _triple(self) -> tuple[None, list[int], list[int]]:
        return None, list(self.tokens[:1]), list(self.tokens[1:])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._triple())

    def __getitem__(self, position: Any) -> Any:
        return self._triple()[position]

    def __len__(self) -> int:
        return 3


def whole_chunks(tokens: Sequence[int], length: int) -> list[tuple[int, ...]]:
    """`tokens` in chunks of `length`; the remainder is dropped."""
    last = len(tokens) - length
    return [tuple(tokens[start : start + length]) for start in range(0, last + 1, length)]
