"""`compare`: rows of results files into panels, each number against baseline and controls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsn_eval.comparing.kinds import Kind, Scale
from lsn_eval.comparing.no_ops import no_ops
from lsn_eval.comparing.paired import Draws
from lsn_eval.comparing.panel_building import build_panel
from lsn_eval.comparing.panels import Panel
from lsn_eval.comparing.scores import Scores, scores
from lsn_eval.errors import LsnError
from lsn_eval.results.rows import NO_CONDITION, ResultsError, Row
from lsn_eval.results.samples import Sample, read_samples
from lsn_eval.wording.lists import listed


@dataclass(frozen=True)
class Comparison:
    """What `compare` found."""

    rows: Sequence[Row]
    panels: tuple[Panel, ...]
    draws: Draws
    tested: bool
    """Whether any samples were there to test with."""
    notes: tuple[str, ...] = ()
    """Likely no-ops: what did not change at all."""
    unmoved: frozenset[tuple[str, str, str]] = frozenset()
    """The model, mask and condition of each of them."""
    remarks: tuple[str, ...] = ()
    """What else concerns all of it: older files that were left out, numbers that are none."""


def compare(
    rows: Sequence[Row],
    *,
    draws: Draws = Draws(),  # noqa: B008 - immutable
    test: bool = True,
    allow: Iterable[str] = (),
    beside: Sequence[Row] = (),
) -> Comparison:
    """Put every number beside its baseline, the same task under `none`.

    Args:
        rows: from `read_results(paths)`.
        draws: of bootstrap and randomisation.
        test: read the samples beside the files, for intervals and tests.
        allow: names of settings (`lsn_eval.results.settings`) that may differ from the baseline's.
        beside: further rows of the same files, which are not compared: only a condition that moved
            none of them either is called a likely no-op.

    Raises:
        LsnError: no row holds a finite number, or `allow` names no setting.
    """
    allowed = _allowed(rows, allow)
    if not any(row.usable for row in rows):
        raise LsnError(
            f"{len(rows)} numbers were read and none can be used; results files of lm-eval with "
            "finite numbers in them were expected"
        )
    reader = SampleReader(test)
    panels = []
    for group in _grouped(rows):
        reader.begin(group)
        panels.append(build_panel(group, draws, reader.scores, allowed))
    unmoved, notes = no_ops(panels, [*rows, *beside])
    return Comparison(
        rows, tuple(panels), draws, reader.found, tuple(notes), unmoved, tuple(_remarks(rows))
    )


def _allowed(rows: Sequence[Row], names: Iterable[str]) -> frozenset[str]:
    known = {name for row in rows for name in row.settings}
    if unknown := sorted(set(names) - known):
        raise LsnError(
            f"{', '.join(unknown)} is no setting that results differ in; there are "
            f"{', '.join(sorted(known))}"
        )
    return frozenset(names)


_Key = tuple[str, str, str, str]


def _grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one panel each, baselines first; a baseline stands in the panel of every mask, but
    for tasks that other masks alone were evaluated on: this one's languages lack nothing.

    A metric without any finite number has no panel.
    """
    masked: dict[tuple[_Key, str], list[Row]] = defaultdict(list)
    baselines: dict[_Key, list[Row]] = defaultdict(list)
    usable: set[tuple[str, str, str]] = set()
    with_languages = {(row.model, row.family) for row in rows if row.language is not None}
    for row in rows:
        if row.group and (row.model, row.family + "_*") in with_languages:
            continue  # lm-eval's own mean of the columns
        key = (row.model, row.family, row.name, row.dtype)
        if row.usable:
            usable.add(key[:3])
        if row.condition == NO_CONDITION:
            baselines[key].append(row)
        else:
            masked[key, row.mask].append(row)
    evaluated: dict[_Key, set[str]] = defaultdict(set)
    for (key, _), group in masked.items():
        evaluated[key] |= {row.task for row in group}
    found = []
    for (key, _), group in masked.items():
        elsewhere = evaluated[key] - {row.task for row in group}
        first = [row for row in _baselines_for(key, baselines) if row.task not in elsewhere]
        found.append([*first, *group])
    with_masks = {(row.model, row.family, row.name, row.dtype) for group in found for row in group}
    found += [group for key, group in baselines.items() if key not in with_masks]
    kept = [group for group in found if (group[0].model, group[0].family, group[0].name) in usable]
    # Panels of one model and family follow each other, so that samples are read once.
    order = {place: number for number, place in enumerate(dict.fromkeys(map(_place, kept)))}
    return sorted(kept, key=lambda group: order[_place(group)])


def _place(group: Sequence[Row]) -> tuple[str, str]:
    return group[0].model, group[0].family


def _baselines_for(key: _Key, baselines: dict[_Key, list[Row]]) -> list[Row]:
    """In the dtype of the conditions; else in the only other one, to say that it is another."""
    if key in baselines:
        return baselines[key]
    others = [group for other, group in baselines.items() if other[:3] == key[:3]]
    return others[0] if len(others) == 1 else []


def _remarks(rows: Sequence[Row]) -> Iterator[str]:
    usable = {(row.family, row.name) for row in rows if row.usable}
    for family, name in dict.fromkeys((row.family, row.name) for row in rows if not row.group):
        if (family, name) not in usable:
            yield f"{name} of {family} is no finite number in any file and is left out"
    older = {(row.file, row.task): row.older for row in rows if row.older}
    if older:
        places = [f"{row.condition} on {row.task}" for row in rows if row.older]
        yield (
            f"{sum(older.values())} older results of the same model, condition and task were left "
            f"out, the newest counts: {listed(dict.fromkeys(places), 3)}"
        )


class SampleReader:
    """Reads each samples file once for all panels of a model and family of tasks."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._of: tuple[str, str] | None = None
        self._read: dict[tuple[Path, str], list[Sample] | str] = {}
        self.found = False

    def begin(self, rows: Sequence[Row]) -> None:
        """Forget the samples of other tasks."""
        if self._of != _place(rows):
            self._of = _place(rows)
            self._read.clear()

    def scores(self, row: Row, scale: Scale, like: Kind | None) -> Scores | str | None:
        """A reason where there are samples that cannot be used; None without any."""
        if not self._wanted or not row.usable:
            return None
        key = (row.file, row.task)
        if key not in self._read:
            try:
                self._read[key] = read_samples(*key)
            except ResultsError as error:
                self._read[key] = f"no test: {error}"
        samples = self._read[key]
        if isinstance(samples, str):
            return samples
        if not samples:
            return None
        found = scores(samples, row.metric, row.filter, row.value, scale, like)
        if found is None:
            return f"no test: the samples do not give the value of {row.name} in the results file"
        if row.documents is not None and len(found.documents) != row.documents:
            return (
                f"no test: samples of {len(found.documents)} documents were logged, and "
                f"{row.documents} were evaluated"
            )
        self.found = True
        return found
