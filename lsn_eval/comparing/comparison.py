"""`compare`: results files, or rows of them, into panels: numbers beside baseline and controls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsn_eval.comparing.answer_languages import with_targets
from lsn_eval.comparing.no_ops import Place, no_ops
from lsn_eval.comparing.paired import Draws
from lsn_eval.comparing.panel_building import build_panel
from lsn_eval.comparing.panels import Panel
from lsn_eval.comparing.scores import SampleReader
from lsn_eval.comparing.tidy import tidy
from lsn_eval.errors import LsnError
from lsn_eval.results import read_results
from lsn_eval.results.choosing import ALL, Choice
from lsn_eval.results.rows import NO_CONDITION, Row
from lsn_eval.results.run_files import Paths
from lsn_eval.results.settings import allowed_settings
from lsn_eval.wording.lists import counted, listed
from lsn_eval.wording.shown import Shown

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """What `compare` gives: panels, how they were tested, and what concerns all of them."""

    rows: Sequence[Row]
    panels: tuple[Panel, ...]
    draws: Draws
    notes: tuple[str, ...]
    """Likely no-ops: what did not change at all."""
    unmoved: frozenset[Place]
    """The model, mask and condition of each of them."""
    remarks: tuple[str, ...]
    """What else concerns all of it: older files that were left out, numbers that are none."""

    @property
    def tested(self) -> bool:
        """Whether any samples were there to test with."""
        return any(
            change.p is not None for panel in self.panels for change in panel.changes.values()
        )

    def to_frame(self) -> pandas.DataFrame:
        """One row a number, unrounded, with the columns of `lsn-eval compare --format csv`."""
        import pandas

        return pandas.DataFrame(tidy(self.panels, self.unmoved))

    def summary(self) -> tuple[str, list[list[str]]]:
        """How many numbers, and a line a panel."""
        rows = [["metric", "tasks", "model", "mask", "conditions", "languages"]]
        for panel in self.panels:
            sizes = (str(len(names)) for names in (panel.conditions, panel.languages))
            rows.append([panel.metric, panel.family, panel.model, panel.mask, *sizes])
        return f"of {counted(len(self.rows), 'number')}", rows


def compare(
    results: Paths | Iterable[Row],
    *,
    draws: Draws = Draws(),  # noqa: B008 - immutable
    test: bool = True,
    allow: Iterable[str] = (),
    beside: Sequence[Row] = (),
    **chosen: str | Iterable[str] | None,
) -> Comparison:
    """Put every number beside its baseline, the same task under `none`.

    Args:
        results: results files of lm-eval or folders of them, or rows of `read_results`, which are
            taken as they are: `with_targets` adds the accuracy against the languages steered to.
        draws: of bootstrap and randomisation.
        test: read the samples beside the files, for intervals and tests.
        allow: names of settings (`lsn_eval.results.settings`) that may differ from the baseline's.
        beside: further rows of the same files, which are not compared: only a condition that moved
            none of them either is called a likely no-op.
        chosen: names or patterns of the `task`, `metric`, `model`, `condition` and `language` to
            compare, one or several; all without, and with `metric=None` each task's first metric.

    Raises:
        LsnError: a path holds no results, no row holds a finite number, `allow` names no setting,
            or what was chosen is not there.
    """
    there = read_results(results)
    if test and not (isinstance(results, Sequence) and there and there[0] is results[0]):
        there = with_targets(there)
    rows = Choice.named(**{"metric": ALL} | chosen).rows(there)
    allowed = allowed_settings(allow, {name for row in rows for name in row.settings})
    if not any(row.usable for row in rows):
        raise LsnError(
            f"{counted(len(rows), 'number')} were read and none can be used; results files of "
            "lm-eval with finite numbers in them were expected"
        )
    samples = SampleReader()
    panels = tuple(
        build_panel(group, draws, samples.columns if test else None, allowed)
        for group in _grouped(rows)
    )
    unmoved, notes = no_ops(panels, [*there, *beside])
    return Comparison(rows, panels, draws, tuple(notes), unmoved, tuple(_remarks(rows)))


def _grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one panel each, baselines first; a baseline stands in the panel of every mask, but
    for tasks that other masks alone were evaluated on: this one's languages lack nothing.

    A metric without any finite number has no panel. Panels of one model and family follow each
    other, so that samples are read once.
    """
    metrics: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    with_languages = {(row.model, row.family) for row in rows if row.language is not None}
    for row in sorted(rows, key=lambda row: row.condition == NO_CONDITION):
        family = row.family
        # Of a group it is lm-eval's own mean of the columns.
        if not row.group or (row.model, family + "_*") not in with_languages:
            metrics[row.model, family, row.name].append(row)
    panels: dict[tuple[str, str], list[list[Row]]] = defaultdict(list)
    for (model, family, _), measured in metrics.items():
        if any(row.usable for row in measured):
            panels[model, family] += _by_mask(measured)
    return [group for groups in panels.values() for group in groups]


def _by_mask(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows of one metric by dtype and mask, each with its baselines; then baselines of no mask."""
    masked: dict[tuple[str, str], list[Row]] = defaultdict(list)
    baselines: dict[str, list[Row]] = defaultdict(list)
    evaluated: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.condition == NO_CONDITION:
            baselines[row.dtype].append(row)
        else:
            masked[row.dtype, row.mask].append(row)
            evaluated[row.dtype].add(row.task)
    alone = baselines.keys() - evaluated
    for (dtype, _), of_mask in masked.items():
        # In the dtype of the conditions; else in the only other one, to say that it is another.
        of = dtype if dtype in baselines or len(baselines) != 1 else next(iter(baselines))
        elsewhere = evaluated[dtype] - {row.task for row in of_mask}
        first = [row for row in baselines.get(of, ()) if row.task not in elsewhere]
        if first:
            alone.discard(of)
        yield [*first, *of_mask]
    yield from (baselines[dtype] for dtype in baselines if dtype in alone)


def _remarks(rows: Sequence[Row]) -> Iterator[str]:
    usable = {(row.family, row.name) for row in rows if row.usable}
    for family, name in dict.fromkeys((row.family, row.name) for row in rows if not row.group):
        if (family, name) not in usable:
            yield f"{name} of {family} is no finite number in any file and is left out"
    if older := {(row.file, row.task): row.older for row in rows if row.older}:
        places = dict.fromkeys(f"{row.condition} on {row.task}" for row in rows if row.older)
        yield (
            f"{sum(older.values())} older results of the same model, condition and task were left "
            f"out, the newest counts: {listed(places, 3)}"
        )
