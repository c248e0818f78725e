"""Adding up activation statistics: shards of one corpus, several corpora, several languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsn_eval.errors import StatisticsError
from lsn_eval.masks.names import quantile_share
from lsn_eval.statistics.content import StatisticsContent, TextResponses, statistic_dtype
from lsn_eval.statistics.corpora import counted_once
from lsn_eval.statistics.quantiles import TokenSample

Statistics = TypeVar("Statistics", bound=StatisticsContent)


def merged(parts: Sequence[Statistics]) -> Statistics:
    """Statistics over the tokens of all `parts`.

    Counts, tokens, maxima and quantiles do not depend on the order of the parts; means and
    variances (Chan, Golub and LeVeque 1983) do in their last bits.

    Raises:
        StatisticsError: see `ActivationStats.merged`.
    """
    if not parts:
        raise StatisticsError("no statistics were given; at least one was expected")
    first = parts[0]
    for part in parts[1:]:
        _check_alike(first, part)
    languages = tuple(dict.fromkeys(language for part in parts for language in part.languages))
    said: dict[str, Any] = {
        name: next((found for p in parts if (found := getattr(p.model, name))), None)
        for name in ("type", "name", "revision")
    }
    model = replace(first.model, **said)
    provenance = _merged_provenance(parts, languages)
    holders = {name: [part for part in parts if name in part.languages] for name in languages}
    samples = {
        language: sample
        for language, having in holders.items()
        if (sample := _merged_sample(language, having)) is not None
    }
    layer_tokens = None
    if first.layer_tokens is not None:
        counts = [
            [part.tokens_at_layers()[part.languages.index(name)] for part in having]
            for name, having in holders.items()
        ]
        layer_tokens = np.stack([np.sum(each, axis=0) for each in counts])
    arrays: dict[str, dict[str, NDArray[Any]]] = {}
    for hookpoint in first.hookpoints:
        shape = (len(languages), len(model.layers), model.widths[hookpoint])
        arrays[hookpoint] = {
            name: np.zeros(shape, statistic_dtype(name)) for name in first.names(hookpoint)
        }
        for row, (language, having) in enumerate(holders.items()):
            added = _added(hookpoint, language, having, samples.get(language))
            for name, values in added.items():
                arrays[hookpoint][name][row] = values
    return replace(
        first,
        model=model,
        languages=languages,
        tokens={
            language: sum(part.tokens[language] for part in having)
            for language, having in holders.items()
        },
        arrays=arrays,
        layer_tokens=layer_tokens,
        provenance=provenance,
        samples=samples,
        texts=_merged_texts(parts, languages),
    )


def _check_alike(first: StatisticsContent, other: StatisticsContent) -> None:
    mine, theirs = first.model, other.model
    weights = [stats.provenance.get("weights_fingerprint") for stats in (first, other)]
    if any(weights) and any("weights_sha256" in stats.provenance for stats in (first, other)):
        raise StatisticsError(
            "one was recorded by a version of lsn_eval that looked at a part of the weights alone, "
            "so that nobody can tell whether both are of the same ones; record it anew"
        )
    facts: dict[str, tuple[Any, Any]] = {}
    if mine.layers != theirs.layers:
        facts["layers"] = len(mine.layers), len(theirs.layers)
    facts["type"] = mine.type, theirs.type
    if all(weights):
        # The same weights may lie at another path on another machine.
        facts["the digest of the weights"] = weights[0], weights[1]
    else:
        facts |= {"name": (mine.name, theirs.name), "revision": (mine.revision, theirs.revision)}
    for at in set(first.hookpoints) & set(other.hookpoints):
        facts[f"width of {at}"] = mine.widths[at], theirs.widths[at]
        facts[f"width of layers at {at}"] = mine.narrower.get(at), theirs.narrower.get(at)
    facts["dtype"] = first.provenance.get("dtype"), other.provenance.get("dtype")
    for what, (a, b) in facts.items():
        if what == "layers" or (None not in (a, b) and a != b):
            raise StatisticsError(
                f"statistics of different models: {what} is {a} in one and {b} in the other; only "
                "statistics of one model can be added up"
            )
    if (first.layer_tokens is None) != (other.layer_tokens is None):
        raise StatisticsError(
            "one says how many tokens reached each expert and the other does not; record both alike"
        )
    if first.hookpoints != other.hookpoints:
        raise StatisticsError(
            f"statistics of different hookpoints: {', '.join(first.hookpoints)} and "
            f"{', '.join(other.hookpoints)}; record both with --hookpoint "
            f"{','.join(dict.fromkeys((*first.hookpoints, *other.hookpoints)))}"
        )
    for hookpoint in first.hookpoints:
        names, others = first.names(hookpoint), other.names(hookpoint)
        if names != others:
            raise StatisticsError(
                f"one holds {', '.join(names)} of {hookpoint} and the other {', '.join(others)}; "
                f"add up what both hold with --keep {','.join(n for n in names if n in others)}"
            )
    ours, yours = (stats.provenance.get("settings") or {} for stats in (first, other))
    for name in sorted(set(ours) & set(yours)):
        if ours[name] != yours[name]:
            raise StatisticsError(
                f"statistics of different settings: {name} is {ours[name]} in one and "
                f"{yours[name]} in the other; record both alike"
            )


def _merged_provenance(
    parts: Sequence[StatisticsContent], languages: Sequence[str]
) -> dict[str, Any]:
    corpora = counted_once(parts)
    result: dict[str, Any] = {}
    for part in reversed(parts):
        result |= part.provenance
    # A value that differs between the parts is nobody's: the command of one is not the sum's.
    for name, value in list(result.items()):
        if any(part.provenance.get(name, value) != value for part in parts):
            del result[name]
    result["corpora"] = {name: corpora[name] for name in languages if name in corpora}
    return result


def _merged_sample(language: str, parts: Sequence[StatisticsContent]) -> TokenSample | None:
    found = [part.samples[language] for part in parts if language in part.samples]
    if len(parts) == 1 or len(found) < len(parts):
        return found[0] if len(parts) == len(found) else None
    try:
        sample = TokenSample.merged(found)
    except ValueError as error:
        raise StatisticsError(
            f"{language}: {error}, so that they are of the same texts; add each shard once"
        ) from error
    # What a token that did not reach an expert has there is no number.
    wrong = np.isinf if parts[0].layer_tokens is not None else lambda of: ~np.isfinite(of)
    if any(wrong(token).any() for values in sample.values.values() for token in values):
        raise StatisticsError(
            f"{language}: a sampled value is not a finite number; the file is damaged, record it "
            "again"
        )
    return sample


def _added(
    hookpoint: str,
    language: str,
    parts: Sequence[StatisticsContent],
    sample: TokenSample | None,
) -> dict[str, NDArray[Any]]:
    """Statistics [layer, neuron] of one language over the tokens of `parts`."""
    names = parts[0].names(hookpoint)
    each = {
        name: [part.arrays[hookpoint][name][part.languages.index(language)] for part in parts]
        for name in names
    }
    if len(parts) == 1:
        return {name: values for name, [values] in each.items()}
    result: dict[str, NDArray[Any]] = {}
    if "above_threshold" in names:
        raise StatisticsError(
            f"{language}: counts above a threshold cannot be added up, as every part has "
            "thresholds of its own; record the language in one run, or leave them out with --keep "
            f"{','.join(name for name in names if name != 'above_threshold')}"
        )
    if "positive" in names:
        result["positive"] = np.sum(each["positive"], axis=0)
    if "max" in names:
        result["max"] = np.maximum.reduce(each["max"])
    if "mean" in names:
        counts = [part.tokens_at_layers()[part.languages.index(language)] for part in parts]
        result["mean"], variance = combined_moments(counts, each["mean"], each.get("variance"))
        if variance is not None:
            result["variance"] = variance
    if quantiles := [name for name in names if quantile_share(name) is not None]:
        if sample is None:
            raise StatisticsError(
                f"the quantiles of {language} cannot be added up: a part holds no sample of its "
                "tokens. Record parts of a language with --shard or --keep-sample, or leave the "
                "quantiles out with --keep positive,mean,variance,max"
            )
        result |= sample.quantiles(hookpoint, quantiles)
    return result


def combined_moments(
    counts: Sequence[ArrayLike],
    means: Sequence[NDArray[np.float64]],
    variances: Sequence[NDArray[np.float64]] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Mean and population variance [layer, neuron] of a union from its parts' and their counts
    [layer] (Chan et al. 1983, equation 2.1)."""
    count: Any = 0.0
    mean, squares = np.zeros_like(means[0]), np.zeros_like(means[0])
    for number, part_counts in enumerate(counts):
        part_count = np.asarray(part_counts, np.float64)[..., None]
        delta = means[number] - mean
        total = count + part_count
        some = np.maximum(1, total)
        if variances is not None:
            squares += variances[number] * part_count + delta**2 * (count * part_count / some)
        mean = mean + delta * (part_count / some)
        count = total
    return mean, None if variances is None else squares / np.maximum(1, count)


def _merged_texts(
    parts: Sequence[StatisticsContent], languages: Sequence[str]
) -> TextResponses | None:
    having = [part.texts for part in parts if part.texts is not None]
    if not having:
        return None
    if len(having) < len(parts):
        raise StatisticsError(
            "some of the statistics hold the responses of single texts and some do not; record "
            "all of them with --per-text, or none"
        )
    names = np.concatenate([texts.languages for texts in having])
    index = np.concatenate([texts.index for texts in having])
    order = np.lexsort((index, np.array([languages.index(name) for name in names])))

    def read(hookpoint: str, layer: str) -> NDArray[np.float16]:
        return np.concatenate([texts.read(hookpoint, layer) for texts in having])[order]

    return TextResponses(names[order], index[order], read)
