"""Tables of steering: success by pair of languages, language forcing, and which language answers
are in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from lsn_eval.comparing import Draws, Pair, Panel, pairs
from lsn_eval.comparing.pairs import answer_counts
from lsn_eval.conditions import Condition, steering
from lsn_eval.language_scores import codes
from lsn_eval.tables.table import Cell, Table
from lsn_eval.tables.views import change_cells, default_show, legend, signatures
from lsn_eval.wording.lists import counted
from lsn_eval.wording.numbers import interval, plain, signed


def success_table(panel: Panel, draws: Draws) -> Table | None:
    """Success rate by pair of languages; None of a panel that is of no target."""
    found = pairs(panel)
    if not found:
        return None
    rows = [_success(pair, draws) for pair in found]
    return Table(
        title=f"{panel.title}: answers in the language steered to",
        columns=(
            "condition", "from", "to", "success", f"{draws.level:.0%} interval", "none", "change",
            f"{draws.level:.0%} interval ", "p (Holm)", "controls", "rank p", "steered",
        ),
        rows=tuple(rows),
        notes=(
            "success: share of answers in the language steered to (its interval is Wilson's), on "
            "text of the languages whose neurons are off, or where none are on all other text",
            "controls: the same change under as many random neurons, written with the same "
            "statistics; steered: the change is above 0 with its interval and above every control",
            *legend(rows, draws, default_show(panel)),
            *panel.notes,
        ),
        signatures=tuple(signatures(panel, panel.conditions)),
    )  # fmt: skip


def _success(pair: Pair, draws: Draws) -> tuple[Cell, ...]:
    change = pair.change
    rate, ends = change.row.value, pair.interval(draws.level)
    before = None if change.baseline is None else change.baseline.value
    steered = {True: "yes", False: "no", None: ""}[pair.succeeded]
    return (
        Cell(pair.condition), Cell(pair.source), Cell(pair.target), Cell(plain(rate), rate),
        Cell(interval(ends, plain)), Cell(plain(before), before),
        *change_cells(change, signed, draws), Cell(steered),
    )  # fmt: skip


def forcing_tables(panels: Sequence[Panel]) -> list[Table]:
    """Language forcing, question language off and target on: success rates, a row a language of
    the question, a column a target; one table for what was done with both, of two pairs at least.
    """
    forced: dict[tuple[str, ...], dict[tuple[str, str], Pair]] = defaultdict(dict)
    for panel in panels:
        for pair in pairs(panel):
            steered = steering(pair.condition)
            if steered is not None and len(steered.sources) == len(steered.targets) == 1:
                what = "/".join(
                    str(term).partition(":")[2] for term in Condition.parse(pair.condition).terms
                )
                place = panel.model, panel.dtype, panel.mask, panel.family, what
                forced[place][pair.source, pair.target] = pair
    languages = dict.fromkeys(
        [x for panel in panels for x in panel.languages]
        + [target for by_ends in forced.values() for _, target in by_ends]
    )
    return [
        _forcing(place, by_ends, languages) for place, by_ends in forced.items() if len(by_ends) > 1
    ]


def _forcing(
    place: tuple[str, ...], found: Mapping[tuple[str, str], Pair], languages: Iterable[str]
) -> Table:
    model, dtype, mask, family, what = place
    sources, targets = (
        [language for language in languages if any(ends[side] == language for ends in found)]
        for side in (0, 1)
    )
    rows = []
    for source in sources:
        cells = [
            Cell("")
            if pair is None
            else Cell(plain(pair.change.row.value), pair.change.row.value, detail=pair.condition)
            for pair in (found.get((source, target)) for target in targets)
        ]
        known = [cell.value for cell in cells if cell.value is not None]
        rows.append((Cell(source), *cells, Cell(plain(fmean(known)), fmean(known))))
    steered = [pair.succeeded for pair in found.values() if pair.succeeded is not None]
    return Table(
        title=f"Language forcing, {what}, on {family}, {model} in {dtype}, mask {mask}: success "
        "rate from the language of the question (off) to the target (on)",
        columns=("from", *(f"to {target}" for target in targets), "mean"),
        rows=tuple(rows),
        notes=(f"{sum(steered)} of {counted(len(steered), 'pair')} steered",),
    )


def answers_table(panel: Panel) -> Table | None:
    """Languages of the answers by condition and language asked; None where none were logged, or all
    are in the language asked."""
    found = list(answer_counts(panel))
    if not found:
        return None
    total: Counter[str] = sum((counts for *_, counts in found), Counter())
    columns = [x for x in panel.languages if x in total]
    columns += [label for label, _ in total.most_common() if label not in columns]
    elsewhere = [
        (condition, asked, counts)
        for condition, asked, counts in found
        if not all(codes.counts_as(label, codes.of_language(asked)) for label in counts)
    ]
    if not elsewhere:
        return None
    left_out = len(found) - len(elsewhere)
    note = f"{counted(left_out, 'further row')}: every answer in the language asked"
    return Table(
        title=f"{panel.title}: languages of the answers",
        columns=("condition", "asked in", *columns, "all"),
        rows=tuple(
            (
                Cell(condition),
                Cell(asked),
                *count_cells([*(counts[x] for x in columns), counts.total()]),
            )
            for condition, asked, counts in elsewhere
        ),
        notes=(note,) if left_out else (),
    )


def count_cells(numbers: Sequence[int]) -> list[Cell]:
    """Of answers; nothing for 0."""
    return [Cell(f"{n:,}" if n else "", float(n) if n else None) for n in numbers]
