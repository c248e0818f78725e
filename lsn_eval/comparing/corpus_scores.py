"""BLEU, chrF and TER of a corpus as functions of summed counts.

The counts are sacrebleu's, by the steps that its own paired tests take (`sacrebleu.significance`).
The functions are its formulas over many sums at once; where one of them does not give what
sacrebleu gives for the corpus, sacrebleu's own is called sum by sum.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER

from lsn_eval.comparing.kinds import Kind, Numbers

CHECKED = 50
"""Sentences for which the formulas have to give what sacrebleu gives."""


def readings(items: Sequence[Sequence[Any]], metric: str) -> Iterator[tuple[Kind, Numbers]]:
    """Counts of the corpus, as this project logs its texts and as lm-eval does.

    Args:
        items: (translation, reference[, tokenizer]), or (reference or references, translation).
        metric: what it is called: `bleu`, `chrf`, `chrf++` or `ter`, in whatever case.
    """
    name = metric.lower()
    if len(items[0]) == 3:
        tokenizer, *others = {str(item[2]) for item in items}
        if name == "bleu" and not others:
            yield from _counts(lambda: BLEU(tokenize=tokenizer), items, translation=0)
        return
    if name in ("chrf", "chrf++"):
        words = 2 if name == "chrf++" else 0
        for translation in (0, 1):
            yield from _counts(lambda: CHRF(word_order=words), items, translation=translation)
    elif name in ("bleu", "ter"):
        yield from _counts(BLEU if name == "bleu" else TER, items, translation=1)


def _counts(
    make: Callable[[], BLEU | CHRF | TER], items: Sequence[Sequence[Any]], *, translation: int
) -> Iterator[tuple[Kind, Numbers]]:
    if len({len(item) for item in items}) != 1:
        return
    hypotheses = [item[translation] for item in items]
    references = [[x] if isinstance(x := item[1 - translation], str) else x for item in items]
    texts = [*hypotheses, *(text for several in references for text in several)]
    several = {len(texts) for texts in references}
    if not all(isinstance(text, str) for text in texts) or len(several) != 1 or 0 in several:
        return
    try:
        scorer = make()
    except Exception:  # a tokenizer of sacrebleu that needs a package or a download
        return
    # The names with which sacrebleu's own significance tests call these steps.
    extract = getattr(scorer, "_extract_corpus_statistics", None)
    compute = getattr(scorer, "_compute_score_from_stats", None)
    if extract is None or compute is None:
        return
    streams = [list(stream) for stream in zip(*references, strict=True)]
    counts = np.asarray(extract(hypotheses, streams), dtype=np.float64)

    def one_by_one(sums: Numbers) -> Numbers:
        rows = sums.reshape(-1, sums.shape[-1])
        values = [compute(row.tolist()).score for row in rows]
        return np.asarray(values).reshape(sums.shape[:-1])

    # The corpus, and sentences, which lack n-grams that a resample may lack, too.
    checked = np.concatenate([counts.sum(axis=0)[None], counts[:CHECKED]])
    together = _together(scorer)
    exact = np.allclose(together(checked), one_by_one(checked), rtol=1e-9, atol=1e-9)
    name = f"{type(scorer).__name__}, {'translation' if translation == 0 else 'reference'} first"
    yield Kind(name, "linear", together if exact else one_by_one), counts


def _together(scorer: BLEU | CHRF | TER) -> Callable[[Numbers], Numbers]:
    if isinstance(scorer, CHRF):
        return functools.partial(_chrf, beta=scorer.beta)
    return _bleu if isinstance(scorer, BLEU) else _ter


def _bleu(sums: Numbers) -> Numbers:
    """Papineni et al. (2002) with the smoothing `exp` of sacrebleu's default."""
    translated, reference = sums[..., 0], sums[..., 1]
    orders = (sums.shape[-1] - 2) // 2
    correct, total = sums[..., 2 : 2 + orders], sums[..., 2 + orders :]
    with np.errstate(all="ignore"):
        halvings = 2.0 ** np.cumsum(correct == 0, axis=-1)
        precision = np.where(correct == 0, 1 / halvings, correct) / total
        brevity = np.where(
            translated < reference, np.exp(1 - reference / np.maximum(translated, 1)), 1.0
        )
        score = 100 * brevity * np.exp(np.log(precision).mean(axis=-1))
    defined = (correct > 0).any(axis=-1) & (total > 0).all(axis=-1)
    return np.asarray(np.where(defined, score, 0.0), dtype=np.float64)


def _chrf(sums: Numbers, beta: float) -> Numbers:
    """Popović (2015): F-beta of the precision and recall, averaged over the orders in both."""
    counts = sums.reshape(*sums.shape[:-1], -1, 3)
    translated, reference, match = counts[..., 0], counts[..., 1], counts[..., 2]
    both = (translated > 0) & (reference > 0)
    orders = np.maximum(both.sum(axis=-1), 1)
    with np.errstate(all="ignore"):
        precision = np.where(both, match / translated, 0.0).sum(axis=-1) / orders
        recall = np.where(both, match / reference, 0.0).sum(axis=-1) / orders
        score = 100 * (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    return np.where(precision + recall > 0, score, 0.0)


def _ter(sums: Numbers) -> Numbers:
    """Snover et al. (2006): edits over the length of the reference."""
    edits, length = sums[..., 0], sums[..., 1]
    without = np.where(edits > 0, 100.0, 0.0)  # sacrebleu's value for an empty reference
    with np.errstate(all="ignore"):
        return np.where(length > 0, 100 * edits / length, without)
