"""Average precision of a unit as a detector of a language (Kojima et al. 2024)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from lsn_eval.identification.selection import (
    IdentificationError,
    Neurons,
    Selection,
    by_place,
    check_languages,
    check_whole,
    lowest,
    model_at,
    one_hookpoint,
)
from lsn_eval.models.hookpoints import HOOKPOINT_GROUPS, expanded
from lsn_eval.statistics import ActivationStats

End = Literal["both", "top", "bottom"]
_BYTES_READ_AT_ONCE = 1 << 26
"""Size of the blocks of units read from a file: a file read in narrow columns is read often."""
_TRANSPOSED_AT_ONCE = 128
"""Units transposed at a time: a few lines of cache for each text, which is ten times faster than
transposing a layer at once."""


def average_precision(
    stats: ActivationStats,
    *,
    hookpoint: str | Sequence[str] | None = None,
    neurons: int = 2000,
    end: End = "both",
) -> Selection:
    """Per language, the `neurons` / 2 units of highest and of lowest average precision, or all
    `neurons` of one `end`.

    Kojima et al. (2024, arXiv 2404.02431), after Suau et al.'s expert units: a unit's mean
    response to a text is the score of "this text is in the language", the texts of all other
    languages are the negatives, and the unit's average precision says how well it detects the
    language by going up (highest) or down (lowest). Units are the outputs of every linear layer
    recorded unless `hookpoint` names others; they compete over all hookpoints and layers. The
    median that the mask stores is the median over the language's own texts of the unit's mean
    response, which is what Kojima et al. write.

    Kojima et al. compare the ends at as many neurons as each has in "both": 1000 of the "top" with
    1000 of the "bottom" and 2000 of both.

    Reads per-text responses (recorded with `--per-text`) a layer at a time. Ties are broken by
    (hookpoint, layer, unit).
    """
    check_languages(stats)
    if end not in get_args(End):
        raise IdentificationError(f"end must be one of {', '.join(get_args(End))}, not {end!r}")
    if check_whole("neurons", neurons, 2 if end == "both" else 1) % 2 and end == "both":
        raise IdentificationError(
            f"neurons must be even, half for each end of the ranking, not {neurons}"
        )
    hookpoints = _hookpoints(stats, hookpoint)
    model = model_at(stats.model, *hookpoints)
    ends = np.cumsum([0, *(len(model.layers) * model.widths[at] for at in hookpoints)])
    total = int(ends[-1])
    if neurons > total:
        raise IdentificationError(
            f"{neurons} neurons a language were asked for, and {', '.join(hookpoints)} have "
            f"{total} together; ask for fewer"
        )
    positives = _positives(stats)
    of_layers = [
        precision_of_units(stats.responses(at, layer), positives).astype(np.float32)
        for at, layer in product(hookpoints, model.layers)
    ]
    half = neurons // 2
    each = {"both": (half, half), "top": (neurons, 0), "bottom": (0, neurons)}[end]
    chosen: Neurons = {}
    for language, score in zip(stats.languages, np.concatenate(of_layers, axis=1), strict=True):
        top = lowest(-score, each[0])
        # A unit that is among both ends of a small model counts once, as one of the top.
        rest = score.copy()
        rest[top] = np.inf
        flat = np.sort(np.concatenate([top, lowest(rest, each[1])]))
        chosen[language] = {}
        for at, start, end in zip(hookpoints, ends, ends[1:], strict=False):
            inside = flat[(flat >= start) & (flat < end)] - start
            chosen[language] |= by_place(inside, model, at)
    texts = dict(zip(stats.languages, positives.sum(1).tolist(), strict=True))
    found = {"hookpoint": list(hookpoints), "texts": texts}
    return Selection(stats.languages, model, chosen, found, median_over_texts=True)


def _hookpoints(stats: ActivationStats, asked: str | Sequence[str] | None) -> tuple[str, ...]:
    if asked is None:
        linear = tuple(at for at in stats.hookpoints if at in HOOKPOINT_GROUPS["linear"])
        if not linear:
            raise IdentificationError(
                "average_precision looks at the outputs of linear layers, and these statistics "
                f"have {', '.join(stats.hookpoints)} alone; record --hookpoint linear, or "
                f"name a hookpoint: hookpoint={next(iter(stats.hookpoints), 'mlp.up')}"
            )
        return linear
    names = expanded([asked] if isinstance(asked, str) else asked, stats.hookpoints)
    return tuple(one_hookpoint(stats, name) for name in names)


def _positives(stats: ActivationStats) -> NDArray[np.bool_]:
    """Which texts are in which language [language, text]."""
    if stats.text_languages is None:
        raise IdentificationError(
            "these statistics have no responses per text; record with --per-text"
        )
    positives = np.stack([stats.text_languages == language for language in stats.languages])
    if missing := [stats.languages[n] for n in np.flatnonzero(~positives.any(axis=1))]:
        raise IdentificationError(
            f"no texts were recorded for {', '.join(missing)}; record texts of every language"
        )
    return positives


def precision_of_units(
    responses: NDArray[Any], positives: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Average precision [language, unit] of `responses` [text, unit] for `positives`
    [language, text]; equal to scikit-learn's `average_precision_score`, ties included.

    `responses` are float16 or float32 and may be memory-mapped: blocks of units are read.

    Raises:
        IdentificationError: another dtype, a response that is not a number, or a language that
            no text is in.
    """
    if not positives.any(axis=1).all():
        raise IdentificationError("a language has no texts; at least one of each was expected")
    result = np.empty((positives.shape[0], responses.shape[1]))
    for first, keys in _keys(responses):
        units = slice(first, first + keys.shape[0])
        for language, mine in enumerate(positives):
            result[language, units] = _precision(keys, mine)
    return result


def _keys(responses: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Integer keys [unit, text] that order as the responses do, with the first unit of each block.

    A float's bits are a sign and a magnitude; as a two's complement integer they order as the
    float does (with one key for -0.0 and 0.0), leave the lowest bit free for the label once they
    are shifted, and are sorted with SIMD instructions.
    """
    if responses.dtype not in (np.float16, np.float32):
        raise IdentificationError(
            f"responses are {responses.dtype}; float16 or float32 was expected"
        )
    narrow, wide = (np.dtype(f"i{times * responses.itemsize}") for times in (1, 2))
    magnitude, sign_bit = np.iinfo(narrow).max, np.iinfo(narrow).bits - 1
    infinity = np.array(np.inf, responses.dtype).view(narrow)
    texts, units = responses.shape
    width = max(_TRANSPOSED_AT_ONCE, _BYTES_READ_AT_ONCE // max(1, texts * responses.itemsize))
    for start in range(0, units, width):
        block = np.asarray(responses[:, start : start + width])
        if width < units:
            block = block.copy()
        for first in range(0, block.shape[1], _TRANSPOSED_AT_ONCE):
            columns = np.ascontiguousarray(block[:, first : first + _TRANSPOSED_AT_ONCE])
            bits = np.ascontiguousarray(columns.view(narrow).T)
            signs = bits >> sign_bit
            if (bits & magnitude).max(initial=0) > infinity:
                unit = int(np.argmax(((bits & magnitude) > infinity).any(axis=1)))
                raise IdentificationError(
                    f"the response of unit {start + first + unit} to some text is not a number; "
                    "record again, and look for overflow in the model's dtype"
                )
            bits ^= signs & magnitude
            bits -= signs
            keys = bits.astype(wide)
            keys <<= 1
            yield start + first, keys


def _precision(keys: NDArray[Any], mine: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average precision [unit] from even integer keys [unit, text] and labels [text].

    Every positive contributes, divided by their number, the precision at its own score: positives
    over texts of at least that score. Only the places of the positives in the sorted row are
    needed for that, and the label, put into the key's lowest bit, shows where they are. Positives
    have the even keys, so they come first among equal scores, and the first positive of a tie
    stands at the first text of the tie.
    """
    units, texts = keys.shape
    count = int(mine.sum())
    labelled = keys | ~mine
    labelled.sort(axis=1)
    places = np.flatnonzero((labelled & 1) == 0)
    values = labelled.reshape(-1)[places].reshape(units, count)
    is_start = np.ones((units, count), np.bool_)
    np.not_equal(values[:, 1:], values[:, :-1], out=is_start[:, 1:])
    starts = np.flatnonzero(is_start)
    tied = np.diff(starts, append=units * count)
    unit = starts // count
    precision = (count - (starts - unit * count)) / (texts - (places[starts] - unit * texts))
    first_of_unit = np.searchsorted(starts, np.arange(units) * count)
    return np.add.reduceat(tied * precision, first_of_unit) / count
