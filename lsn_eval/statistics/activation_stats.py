"""`ActivationStats`: what recording keeps per language, hookpoint, layer and neuron.

Statistics are immutable, torch-free and mergeable: recording shards on many machines and adding
the files gives the counts, tokens, maxima and quantiles of one run to the last bit; means and
variances agree to float64 rounding (about 1e-12), as floating-point sums depend on their order.
The file format is in `lsn_eval/statistics/files.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsn_eval.errors import StatisticsError
from lsn_eval.masks.names import quantile_share
from lsn_eval.models.hookpoints import DEFAULT_HOOKPOINT
from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics.checks import check_statistics, check_values
from lsn_eval.statistics.content import StatisticsContent, statistic_dtype
from lsn_eval.statistics.files import read_statistics, write_statistics
from lsn_eval.statistics.merging import merged
from lsn_eval.statistics.routing import routing
from lsn_eval.storage.hub import OnHub, fetched, is_on_hub
from lsn_eval.storage.tensor_files import whole_numbers
from lsn_eval.wording.text_tables import markdown_table, markdown_text

RECORDING_ADVICE = (
    "record it with 'lsn-eval record --statistics all' (percentiles: --quantiles p5,p25)"
)


@dataclass(frozen=True, eq=False, repr=False)
class ActivationStats(OnHub, StatisticsContent):
    """Statistics of a model's neurons over texts of several languages.

    Raises:
        StatisticsError: it contradicts itself; the message says where.
    """

    FILE, ERROR = "statistics.safetensors", StatisticsError

    def __post_init__(self) -> None:
        check_statistics(self)

    @staticmethod
    def from_counts(
        counts: ArrayLike,
        tokens: ArrayLike,
        languages: Sequence[str],
        hookpoint: str = DEFAULT_HOOKPOINT,
        model: ModelLayout | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> ActivationStats:
        """Statistics from counts that others recorded.

        Args:
            counts: int [language, layer, neuron], how often each neuron was above 0.
            tokens: int [language], the tokens seen.
            languages: their names, in the order of `counts`.
        """
        positive = whole_numbers(counts, "counts", 3, StatisticsError)
        seen = whole_numbers(tokens, "tokens", 1, StatisticsError)
        if positive.shape[0] != len(languages) or seen.shape[0] != len(languages):
            raise StatisticsError(
                f"counts of {positive.shape[0]} languages and tokens of {seen.shape[0]} were given "
                f"for {len(languages)} names ({', '.join(languages)}); one of each per language "
                "was expected"
            )
        if (positive < 0).any():
            raise StatisticsError("a count is negative; counts of active tokens were expected")
        if model is None:
            model = ModelLayout.numbered(positive.shape[1], {hookpoint: positive.shape[2]})
        return ActivationStats(
            model=model,
            languages=tuple(languages),
            tokens=dict(zip(languages, map(int, seen), strict=True)),
            arrays={hookpoint: {"positive": positive}},
            provenance=dict(provenance or {}),
        )

    # What it holds ---------------------------------------------------------------------------

    def get(self, hookpoint: str, name: str) -> NDArray[Any]:
        """One statistic [language, layer, neuron].

        Raises:
            StatisticsError: it was not recorded; the message says what was.
        """
        statistics = self._at(hookpoint)
        if name not in statistics:
            advice = RECORDING_ADVICE if statistic_dtype(name) else "ask for one of these"
            raise StatisticsError(
                f"these statistics hold no {name!r} of {hookpoint}; they hold "
                f"{', '.join(self.names(hookpoint)) or 'nothing'}: {advice}"
            )
        return statistics[name]

    def probability(self, hookpoint: str = DEFAULT_HOOKPOINT) -> NDArray[np.float64]:
        """Share of tokens at which each neuron is above 0, float64 [language, layer, neuron].

        Published counts can give values slightly above 1; they are passed on as they are. Of an
        expert the tokens are those that reached it; where none did, it is 0.

        Raises:
            StatisticsError: a language has no tokens.
        """
        positive = self.get(hookpoint, "positive")
        empty = [language for language in self.languages if not self.tokens[language]]
        if empty:
            raise StatisticsError(
                f"{', '.join(empty)} has no tokens, so that no neuron has a probability there; "
                "record texts of it, or leave the language out"
            )
        return positive / np.maximum(1, self.tokens_at_layers()).astype(np.float64)[..., None]

    def routing(self) -> dict[str, dict[str, float]]:
        """Share of a language's tokens that the router sent to each expert; see `routing`."""
        return routing(self)

    def language_index(self, language: str) -> int:
        """Position of `language` on the first axis."""
        try:
            return self.languages.index(language)
        except ValueError:
            raise StatisticsError(
                f"these statistics have no language {language!r}; they have "
                f"{', '.join(self.languages)}"
            ) from None

    @property
    def text_languages(self) -> NDArray[np.str_] | None:
        """Language of each text [text]; None unless recorded with `--per-text`."""
        return None if self.texts is None else self.texts.languages

    def responses(self, hookpoint: str, layer: str | int) -> NDArray[np.float16]:
        """Mean response of each neuron to each text, float16 [text, neuron], memory-mapped."""
        self._at(hookpoint)
        if self.texts is None:
            raise StatisticsError(
                "these statistics hold no responses of single texts; record them with "
                "'lsn-eval record --one-text-per-row --per-text'"
            )
        if str(layer) not in self.model.layers:
            raise StatisticsError(
                f"layer {str(layer)!r} does not exist; these statistics have layers "
                f"{self.model.layers[0]} to {self.model.layers[-1]}"
            )
        return self.texts.read(hookpoint, str(layer))

    def _at(self, hookpoint: str) -> Mapping[str, NDArray[Any]]:
        if hookpoint not in self.arrays:
            raise StatisticsError(
                f"hookpoint {hookpoint!r} was not recorded; these statistics hold "
                f"{', '.join(self.hookpoints)}. Record with --hookpoint {hookpoint}"
            )
        return self.arrays[hookpoint]

    def summary(self) -> tuple[str, list[list[str]]]:
        """What was recorded of which model, and the tokens by language."""
        names = dict.fromkeys(name for at in self.hookpoints for name in self.names(at))
        rows = [["language", "tokens"], *([x, f"{self.tokens[x]:,}"] for x in self.languages)]
        of = f"{', '.join(self.hookpoints)} of {self.model.name or 'an unnamed model'}"
        return f"{of}: {', '.join(names)}", rows

    def card(self, name: str) -> str:
        """What stands beside it on the Hub: what was recorded, and how it is used."""
        title, tokens = self.summary()
        return f"""---
library_name: lsn_eval
tags: [lsn_eval, activation-statistics]
---

# Activation statistics of {markdown_text(self.model.name or "a model")}

{markdown_text(title)}. SHA-256: `{self.digest}`.

{markdown_table(tokens)}

    lsn-eval identify hf:{name} --method lape --out mask.safetensors
"""

    # Fewer, and more ------------------------------------------------------------------------

    def of_layers(self, layers: Sequence[str]) -> ActivationStats:
        """These statistics of some layers alone, without samples and single texts."""
        rows = [self.model.numbers[layer] for layer in layers]
        narrower = {at: tuple(of[n] for n in rows) for at, of in self.model.narrower.items()}
        return replace(
            self,
            model=replace(self.model, layers=tuple(layers), narrower=narrower),
            arrays={
                at: {name: array[:, rows] for name, array in held.items()}
                for at, held in self.arrays.items()
            },
            layer_tokens=None if self.layer_tokens is None else self.layer_tokens[:, rows],
            samples={},
            texts=None,
        )

    def keep(
        self, *, languages: Sequence[str] | None = None, statistics: Iterable[str] | None = None
    ) -> ActivationStats:
        """These statistics with some languages (in that order) or some statistics alone.

        Leaving out the quantiles drops the sample they come from.
        """
        chosen = tuple(self.languages if languages is None else languages)
        rows = [self.language_index(language) for language in chosen]
        names = None if statistics is None else set(statistics)
        for name in names or ():
            for hookpoint in self.hookpoints:
                self.get(hookpoint, name)
        sampled = names is None or any(quantile_share(name) is not None for name in names)
        corpora = self.provenance.get("corpora", {})
        return replace(
            self,
            languages=chosen,
            tokens={language: self.tokens[language] for language in chosen},
            arrays={
                hookpoint: {
                    name: array if rows == list(range(len(array))) else array[rows]
                    for name, array in held.items()
                    if names is None or name in names
                }
                for hookpoint, held in self.arrays.items()
            },
            provenance={
                **self.provenance,
                "corpora": {name: corpora[name] for name in chosen if name in corpora},
            },
            layer_tokens=None if self.layer_tokens is None else self.layer_tokens[rows],
            samples={k: v for k, v in self.samples.items() if sampled and k in chosen},
            texts=self.texts if languages is None else self.texts and self.texts.of(chosen),
        )

    def merge(self, other: ActivationStats) -> ActivationStats:
        """Statistics over the tokens of both; see `merged`."""
        return ActivationStats.merged([self, other])

    __add__ = merge

    @staticmethod
    def merged(parts: Sequence[ActivationStats]) -> ActivationStats:
        """Statistics over the tokens of all `parts`, shards of a language or whole languages.

        Raises:
            StatisticsError: of different models, hookpoints, statistics or settings; a shard is
                there twice; or one corpus goes by two languages.
        """
        return merged(parts)

    # Files -----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a `.safetensors` file; it appears whole or not at all."""
        write_statistics(self, path)

    @staticmethod
    def load(*given: str | os.PathLike[str] | ActivationStats) -> ActivationStats:
        """Read a file and check all of it against itself; arrays stay memory-mapped. Several are
        added up, and statistics are taken as they are.

        Raises:
            StatisticsError: not a statistics file, a newer format, or a file that contradicts
                itself.
        """
        if len(given) != 1:
            return ActivationStats.merged([ActivationStats.load(part) for part in given])
        [path] = given
        if isinstance(path, ActivationStats):
            return path
        if not isinstance(path, str | os.PathLike):
            raise StatisticsError(
                f"statistics or their path were expected, not a {type(path).__name__}"
            )
        if is_on_hub(path):
            path = fetched(str(path), ActivationStats.FILE, StatisticsError)
        content, digest = read_statistics(path)
        try:
            stats = ActivationStats(**vars(content))
            if stats.digest != digest:
                raise StatisticsError(
                    f"the statistics have digest {stats.digest[:12]} and the metadata says "
                    f"{digest[:12]}: the file was changed after it was written; make it again"
                )
            check_values(stats)
        except StatisticsError as error:
            raise StatisticsError(f"{os.fspath(path)}: {error}") from error
        return stats
