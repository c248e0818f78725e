"""Adding up activation statistics: shards of one corpus, several corpora, several languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import StatisticsError
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics.content import STATISTIC_DTYPES, StatisticsContent, TextResponses
from lsn_eval.statistics.corpora import counted_once
from lsn_eval.statistics.quantiles import QUANTILES, TokenSample


def merged(parts: Sequence[StatisticsContent]) -> StatisticsContent:
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
    model = ModelLayout(
        first.model.layers,
        first.model.widths,
        **{
            name: next((found for p in parts if (found := getattr(p.model, name))), None)
            for name in ("type", "name", "revision")
        },
    )
    provenance = _merged_provenance(parts, languages)
    holders = {name: [part for part in parts if name in part.languages] for name in languages}
    samples = {}
    for language, having in holders.items():
        sample = _merged_sample(language, having)
        if sample is not None:
            samples[language] = sample
    arrays: dict[str, dict[str, NDArray[Any]]] = {}
    for hookpoint in first.hookpoints:
        shape = (len(languages), len(model.layers), model.widths[hookpoint])
        arrays[hookpoint] = {
            name: np.zeros(shape, STATISTIC_DTYPES[name]) for name in first.names(hookpoint)
        }
        for row, (language, having) in enumerate(holders.items()):
            columns = _added(hookpoint, language, having, samples.get(language))
            for name, values in columns.items():
                arrays[hookpoint][name][row] = values
    return StatisticsContent(
        model=model,
        languages=languages,
        tokens={
            language: sum(part.tokens[language] for part in having)
            for language, having in holders.items()
        },
        arrays=arrays,
        provenance=provenance,
        samples=samples,
        texts=_merged_texts(parts, languages),
    )


def _check_alike(first: StatisticsContent, other: StatisticsContent) -> None:
    mine, theirs = first.model, other.model
    facts: list[tuple[str, Any, Any]] = [("layers", mine.layers, theirs.layers)]
    facts.append(("type", mine.type, theirs.type))
    weights = [stats.provenance.get("weights_fingerprint") for stats in (first, other)]
    if any(weights) and any("weights_sha256" in stats.provenance for stats in (first, other)):
        raise StatisticsError(
            "one was recorded by a version of lsn_eval that looked at a part of the weights alone, "
            "so that nobody can tell whether both are of the same ones; record it anew"
        )
    if all(weights):
        # The same weights may lie at another path on another machine.
        facts.append(("the digest of the weights", weights[0], weights[1]))
    else:
        facts.append(("name", mine.name, theirs.name))
        facts.append(("revision", mine.revision, theirs.revision))
    for hookpoint in set(first.hookpoints) & set(other.hookpoints):
        facts.append((f"width of {hookpoint}", mine.widths[hookpoint], theirs.widths[hookpoint]))
    facts.append(("dtype", first.provenance.get("dtype"), other.provenance.get("dtype")))
    for what, a, b in facts:
        if a is not None and b is not None and a != b:
            if what == "layers":
                a, b = len(mine.layers), len(theirs.layers)
            raise StatisticsError(
                f"statistics of different models: {what} is {a} in one and {b} in the other; only "
                "statistics of one model can be added up"
            )
    if first.hookpoints != other.hookpoints:
        raise StatisticsError(
            f"statistics of different hookpoints: {', '.join(first.hookpoints)} and "
            f"{', '.join(other.hookpoints)}; record both with the same --hookpoint"
        )
    for hookpoint in first.hookpoints:
        if first.names(hookpoint) != other.names(hookpoint):
            raise StatisticsError(
                f"one holds {', '.join(first.names(hookpoint))} of {hookpoint} and the other "
                f"{', '.join(other.names(hookpoint))}; add up what both hold with --keep "
                f"{','.join(n for n in first.names(hookpoint) if n in other.names(hookpoint))}"
            )
    ours, others = (stats.provenance.get("settings") or {} for stats in (first, other))
    for name in sorted(set(ours) & set(others)):
        if ours[name] != others[name]:
            raise StatisticsError(
                f"statistics of different settings: {name} is {ours[name]} in one and "
                f"{others[name]} in the other; record both alike"
            )


def _merged_provenance(
    parts: Sequence[StatisticsContent], languages: Sequence[str]
) -> dict[str, Any]:
    corpora = counted_once(parts)
    result: dict[str, Any] = {}
    for part in parts:
        for name, value in part.provenance.items():
            result.setdefault(name, value)
    # A value that differs between the parts is nobody's: the command of one is not the sum's.
    for name in list(result):
        if any(part.provenance.get(name, result[name]) != result[name] for part in parts):
            del result[name]
    result["corpora"] = {name: corpora[name] for name in languages if name in corpora}
    return result


def _merged_sample(language: str, parts: Sequence[StatisticsContent]) -> TokenSample | None:
    found = [part.samples[language] for part in parts if language in part.samples]
    if len(found) < len(parts) or len(parts) == 1:
        return found[0] if len(parts) == 1 and found else None
    try:
        sample = TokenSample.merged(found)
    except ValueError as error:
        raise StatisticsError(
            f"{language}: {error}, so that they are of the same texts; add each shard once"
        ) from error
    if not all(np.isfinite(token).all() for values in sample.values.values() for token in values):
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
    rows = [part.languages.index(language) for part in parts]
    names = parts[0].names(hookpoint)
    if len(parts) == 1:
        return {name: parts[0].arrays[hookpoint][name][rows[0]] for name in names}

    def each(name: str) -> list[NDArray[Any]]:
        pairs = zip(parts, rows, strict=True)
        return [part.arrays[hookpoint][name][row] for part, row in pairs]

    result: dict[str, NDArray[Any]] = {}
    if "above_threshold" in names:
        raise StatisticsError(
            f"{language}: counts above a threshold cannot be added up, as every part has "
            "thresholds of its own; record the language in one run, or leave them out with --keep "
            f"{','.join(name for name in names if name != 'above_threshold')}"
        )
    if "positive" in names:
        result["positive"] = np.sum(each("positive"), axis=0)
    if "max" in names:
        result["max"] = np.maximum.reduce(each("max"))
    if "mean" in names:
        counts = [part.tokens[language] for part in parts]
        variances = each("variance") if "variance" in names else None
        mean, variance = combined_moments(counts, each("mean"), variances)
        result["mean"] = mean
        if variance is not None:
            result["variance"] = variance
    if any(name in names for name in QUANTILES):
        if sample is None:
            raise StatisticsError(
                f"the quantiles of {language} cannot be added up: a part holds no sample of its "
                "tokens. Record parts of a language with --shard or --keep-sample, or leave the "
                "quantiles out with --keep positive,mean,variance,max"
            )
        result |= {k: v for k, v in sample.quantiles(hookpoint).items() if k in names}
    return result


def combined_moments(
    counts: Sequence[int],
    means: Sequence[NDArray[np.float64]],
    variances: Sequence[NDArray[np.float64]] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Mean and population variance of a union from its parts' (Chan et al. 1983, equation 2.1)."""
    count, mean = 0, np.zeros_like(means[0])
    squares = np.zeros_like(means[0])
    for number, part_count in enumerate(counts):
        if not part_count:
            continue
        delta = means[number] - mean
        total = count + part_count
        if variances is not None:
            squares += variances[number] * part_count + delta**2 * (count * part_count / total)
        mean = mean + delta * (part_count / total)
        count = total
    return mean, None if variances is None else squares / max(1, count)


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
    rank = {language: number for number, language in enumerate(languages)}
    order = np.lexsort((index, np.array([rank[name] for name in names])))

    def read(hookpoint: str, layer: str) -> NDArray[np.float16]:
        return np.concatenate([texts.read(hookpoint, layer) for texts in having])[order]

    return TextResponses(names[order], index[order], read)
