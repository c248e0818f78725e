"""Whose tokens a distribution over the vocabulary is on, by how often languages use each.

The logit lens (nostalgebraist 2020) decodes a hidden state of any layer as if it were the last.
Wendler et al. (2024, arXiv 2402.10588) read languages off it by the probability of one word's
translations. Here every token counts, as far as the texts say whose it is:

    P(k | t) = f_k(t) / sum_j f_j(t),   share of k = sum_t p(t) P(k | t)

with f_k(t) the relative frequency of token t in the texts of language k. Tokens of no text belong
to nobody; the shares of a distribution and what is on those sum to 1. A token of all languages,
such as a full stop, is shared out evenly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lsn_eval.representations.hidden_states import Head

CONTROLS = 5
"""Permutations that the control is the mean of."""
_AT_ONCE = 256
"""Positions whose logits are in memory at a time."""


def token_languages(
    rows: Sequence[Sequence[NDArray[np.int64]]], skipped: NDArray[np.int64], vocabulary: int
) -> NDArray[np.float64]:
    """P(k | t) [token, language]; 0 for a token of no text.

    Args:
        rows: token ids of the sentences of each language.
        skipped: ids that do not count.
    """
    counts = np.stack(
        [np.bincount(np.concatenate(of), minlength=vocabulary) for of in rows], axis=1
    ).astype(np.float64)
    counts[skipped] = 0
    frequencies = counts / counts.sum(0)
    total = frequencies.sum(1, keepdims=True)
    return np.divide(frequencies, total, out=np.zeros_like(frequencies), where=total > 0)


def with_controls(languages: NDArray[np.float64], seed: int) -> torch.Tensor:
    """[token, 2 x language]: P(k | t), and beside it the mean of P over permutations of the tokens
    that occur: what the shares would be if probability did not go by language."""
    seen = np.flatnonzero(languages.any(1))
    generator = np.random.default_rng((seed, 2))
    control = np.zeros_like(languages)
    for _ in range(CONTROLS):
        control[seen] += languages[generator.permutation(seen)] / CONTROLS
    return torch.from_numpy(np.concatenate([languages, control], 1)).float()


def language_shares(
    head: Head, states: Sequence[torch.Tensor], counted: NDArray[np.bool_], groups: torch.Tensor
) -> torch.Tensor:
    """Shares [row, layer, group] of the probability that each layer's hidden states decode to, mean
    over the counted positions of a row.

    Args:
        states: of every layer [row, position, hidden], the last one normalised.
        groups: weight of every token in every group [token, group].
    """
    mask = torch.from_numpy(counted)
    row = mask.nonzero()[:, 0]
    shares = torch.zeros(len(mask), len(states), groups.shape[1])
    for layer, state in enumerate(states):
        tokens = state[mask.to(state.device)]
        each = [
            (
                _probabilities(head, part, last=layer == len(states) - 1) @ groups.to(part.device)
            ).cpu()
            for part in tokens.split(_AT_ONCE)
        ]
        shares[:, layer].index_add_(0, row, torch.cat(each))
    return shares / mask.sum(1)[:, None, None]


def _probabilities(head: Head, states: torch.Tensor, *, last: bool) -> torch.Tensor:
    return head(states, normalised=last).float().softmax(-1)
