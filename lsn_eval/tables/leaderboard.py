"""The leaderboard: models and masks by how selectively their neurons act."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from lsn_eval.comparing import Comparison, Draws, Panel
from lsn_eval.comparing.panels import Mark, Overall, shift_writer
from lsn_eval.comparing.selectivity import strength
from lsn_eval.errors import LsnError
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.results.settings import alike_between_models, differences_between_models
from lsn_eval.tables.table import Cell, Table
from lsn_eval.tables.views import controls_cell, signatures
from lsn_eval.wording.numbers import interval, p_value, plain, selectivity


def leaderboard(comparison: Comparison, allow: Collection[str] = ()) -> list[Table]:
    """A table for every metric, family of tasks, operation (WHAT) and set of languages; models
    measured with other data, prompts or versions stand in a table of their own.

    Args:
        allow: names of settings that may differ from model to model.

    Raises:
        LsnError: no condition `LANGUAGE:WHAT` was measured in two languages.
    """
    entries: dict[_Group, list[Entry]] = defaultdict(list)
    for panel in comparison.panels:
        for what, overall in panel.overall.items():
            group = (panel.family, panel.metric, what, panel.languages, overall.languages)
            entries[group].append((panel, overall))
    if not entries:
        raise LsnError(
            "a leaderboard needs conditions LANGUAGE:WHAT and none, measured on text of two "
            "languages or more, all of them comparable; 'lsn-eval compare' without --by model "
            "shows what is there"
        )
    tables = []
    for (_, _, what, *_), members in entries.items():
        alike = alike_between_models(members, _baselines, allow)
        pairs = itertools.combinations((group[0] for group in alike), 2)
        different = dict.fromkeys(name for pair in pairs for name in _differences(*pair, allow))
        tables += [_table(what, x, comparison.draws, ", ".join(different)) for x in alike]
    return tables


Entry = tuple[Panel, Overall]
_Group = tuple[str, str, str, tuple[str, ...], tuple[str, ...]]


def _baselines(entry: Entry) -> list[Mapping[str, str]]:
    """Settings under `none`, language by language."""
    changes = (entry[0].change(NO_CONDITION, language) for language in entry[0].languages)
    return [change.row.settings if change else {} for change in changes]


def _differences(one: Entry, other: Entry, allow: Collection[str]) -> list[str]:
    """Names of the settings in which they differ under `none`, but for what belongs to a model."""
    pairs = zip(_baselines(one), _baselines(other), strict=True)
    return [name for pair in pairs for name in differences_between_models(*pair, allow)]


def _table(what: str, entries: Sequence[Entry], draws: Draws, different: str) -> Table:
    first, overall = entries[0]
    log = first.scale == "log"
    intervals = [overall.interval for _, overall in entries]
    ranked_by = first.scale, f"LANGUAGE:{what}"
    ordered = sorted(entries, key=lambda e: -strength(e[1].own, e[1].others, *ranked_by))
    doubtful = _tokenizers_matter(entries)
    marks = [_mark(panel, overall, what, doubtful) for panel, overall in ordered]
    elsewhere = [panel.mask for panel, overall in ordered if overall.elsewhere]
    facts = {
        f"own: mean change of LANGUAGE:{what} on that language's text; others: on the rest. "
        f"Means over {', '.join(overall.languages)}{', of log ratios' if log else ''}": True,
        "Selectivity: own minus others in log perplexity": log,
        "Selectivity: own minus others; order and rank go by how much further the own languages "
        "moved": not log,
        "Rank p compares with control number 1 of every language, number 2 and so on": True,
        f"{draws} Languages' documents are drawn independently.": any(intervals),
        f"? {first.metric} is a mean over tokens, and the tokenizers differ: neither values "
        "nor changes can be compared from model to model, nor the order; byte_perplexity can": (
            doubtful
        ),
        "! the samples of one of its numbers give another": "contradicted" in marks,
        f"not selective, the other languages changed more: {', '.join(elsewhere)}": elsewhere,
        "without samples of every cell there is no interval": None in intervals,
        f"~ the {draws.level:.0%} interval holds 0": any(o.undecided for _, o in entries),
        f"not to be compared with the other table of this name: {different} differ": different,
    }
    lines = (signatures(panel, {NO_CONDITION, *panel.selectivity}) for panel, _ in ordered)
    return Table(
        title=f"{first.metric} of {first.family}, {what}: models by selectivity",
        columns=(
            "model", "mask", "method", "dtype", "none", "own", "others", "selectivity",
            f"{draws.level:.0%} interval", "controls", "rank p",
        ),
        rows=tuple(_row(*entry, mark) for entry, mark in zip(ordered, marks, strict=True)),
        notes=(
            *(fact for fact, holds in facts.items() if holds),
            *dict.fromkeys(note for panel, _ in ordered for note in panel.notes),
        ),
        signatures=tuple(dict.fromkeys(itertools.chain(*lines))),
    )  # fmt: skip


def _tokenizers_matter(entries: Sequence[Entry]) -> bool:
    """Whether the metric is a mean over tokens (or chunks of so many), of more than one tokenizer:
    of other numbers of tokens in the same text, or, without samples, of other special tokens."""
    if not any(word in entries[0][0].metric for word in ("token", "chunk")):
        return False
    counts = [tuple(sorted(panel.units.items())) for panel, _ in entries]
    rows = [change.row for panel, _ in entries for change in panel.changes.values()]
    tokenizers = {row.settings.get("tokenizer") for row in rows}
    return len(tokenizers) > 1 or (all(counts) and len(set(counts)) > 1)


def _mark(panel: Panel, overall: Overall, what: str, doubtful: bool) -> Mark:
    if any(panel.contradicted(f"{language}:{what}") for language in overall.languages):
        return "contradicted"
    return "doubtful" if doubtful else ""


def _row(panel: Panel, overall: Overall, mark: Mark) -> tuple[Cell, ...]:
    moved = shift_writer(panel.scale)
    none = panel.mean_value(NO_CONDITION, overall.languages)
    methods = {c.row.method for c in panel.changes.values() if c.row.condition != NO_CONDITION}
    ends = interval(overall.interval, selectivity)
    return (
        Cell(panel.model),
        Cell(panel.mask),
        Cell(", ".join(sorted(methods))),
        Cell(panel.dtype),
        Cell(plain(none), none, mark if none is not None else "refused"),
        Cell(moved(overall.own), overall.own, mark),
        Cell(moved(overall.others), overall.others, mark),
        Cell(selectivity(overall.selectivity), overall.selectivity, mark),
        Cell(ends, mark="undecided" if overall.undecided else ""),
        controls_cell(overall.controls, selectivity),
        Cell(p_value(overall.p), overall.p),
    )
