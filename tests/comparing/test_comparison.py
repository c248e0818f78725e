"""Numbers that are not of the same kind of run, conditions that are no controls, and odd numbers."""

from __future__ import annotations

import csv
import io
import re

import pytest
from builders.results import QUICK, compared, two_runs, write_run

from lsn_eval.comparing import compare, paired
from lsn_eval.errors import LsnError
from lsn_eval.results import read_results
from lsn_eval.tables import change_table
from lsn_eval.tables.leaderboard import leaderboard
from lsn_eval.tables.tidy_files import csv_parts

PAIRS = {"ppl_de": {"token_perplexity": [(-10.0, 5), (-20.0, 9)]}}


def test_two_adapters_are_two_models_and_each_is_named_once(tmp_path):
    def with_adapter(adapter, named):
        def edit(document):
            document["config"]["model_args"]["peft"] = adapter
            document["config"]["lsn"]["model"]["name"] += named

        return edit

    runs = [
        ("none", "one", ""),
        ("de:zero", "one", "+one"),
        ("none", "two", ""),
        ("none", None, ""),
    ]
    for place, (condition, adapter, named) in enumerate(runs):
        edit = with_adapter(adapter, named)
        write_run(tmp_path / str(place), condition, PAIRS, edit=edit)
    rows = read_results([tmp_path])
    assert {row.model for row in rows} == {"org/model", "org/model+one", "org/model+two"}
    assert not any(row.older for row in rows)
    (moved,) = (row for row in rows if row.condition == "de:zero")
    assert moved.model == "org/model+one"
    assert "model:org/model+one|" in moved.signature


def after_none(root, pairs, overwritten, changed):
    """`de:zero` gives other pairs, and its hooks changed so many values."""

    def edit(document):
        document["config"]["lsn"]["seen"]["hookpoints"] = {
            "mlp.act": {"values_overwritten": overwritten, "values_changed": changed}
        }

    write_run(root / "a", "none", PAIRS)
    write_run(root / "b", "de:zero", {"ppl_de": {"token_perplexity": pairs}}, edit=edit)
    comparison = compared(root)
    return comparison, comparison.panels[0].change("de:zero", "de")


def test_a_number_that_moved_though_no_value_did_is_refused(tmp_path):
    moved = [(-12.0, 5), (-23.0, 9)]
    _, change = after_none(tmp_path, moved, 100, 0)
    assert change.shift is None
    assert "every value written was there already, and yet the number moved" in change.obstacles[0]
    assert after_none(tmp_path / "x", moved, 100, 3)[1].shift > 0


def test_values_that_were_all_there_are_a_no_op_whatever_rounding_did(tmp_path):
    comparison, _ = after_none(tmp_path, [(-10.0 + 1e-5, 5), (-20.0 - 1e-5, 9)], 9, 0)
    assert comparison.unmoved == {("org/model", "sha256-3986c9d8f34d", "de:zero")}
    (note,) = comparison.notes
    assert "the model did the same as under none" in note


def test_half_a_control_is_none_and_the_order_of_terms_is_nothing(tmp_path):
    both = "en:zero/de:zero"
    real = ["random1-en:zero/random1-de:zero", "random2-de:zero/random2-en:zero"]
    half = ["en:zero/random1-de:zero", "random1-en:zero/de:zero", "random1-en:zero/random2-de:zero"]
    for place, condition in enumerate(["none", both, *real, *half]):
        write_run(tmp_path / str(place), condition, PAIRS)
    (panel,) = compared(tmp_path).panels
    assert set(panel.controls[both]) == set(real)
    assert set(half) <= set(panel.conditions)


def accuracies(root, mask, own, other, controls=0):
    """de:zero and zh:zero move their own accuracy to `own` and the other's to `other`."""
    items = lambda right: [1] * right + [0] * (10 - right)  # noqa: E731
    write_run(root / "none", "none", {f"x_{x}": {"acc": items(8)} for x in ("de", "zh")})
    for language in ("de", "zh"):
        tasks = {f"x_{x}": {"acc": items(own if x == language else other)} for x in ("de", "zh")}
        write_run(root / f"{mask}{language}", f"{language}:zero", tasks, digest=mask * 64)
        for number in range(1, controls + 1):
            same = {f"x_{x}": {"acc": items(7)} for x in ("de", "zh")}
            condition = f"random{number}-{language}:zero"
            write_run(root / f"{mask}{number}{language}", condition, same, digest=mask * 64)


def test_a_mask_that_moves_the_other_languages_is_not_the_more_selective_one(tmp_path):
    accuracies(tmp_path, "a", own=5, other=8, controls=3)
    accuracies(tmp_path, "b", own=8, other=4, controls=3)
    comparison = compared(tmp_path)
    (table,) = leaderboard(comparison)
    assert [row[1].text for row in table.rows] == ["sha256-" + "a" * 12, "sha256-" + "b" * 12]
    assert f"not selective, the other languages changed more: sha256-{'b' * 12}" in table.notes
    assert [[cell.text for cell in row[5:8]] for row in table.rows] == [
        ["-0.300", "0.000", "-0.300"],
        ["0.000", "-0.400", "+0.400"],
    ]
    for panel in comparison.panels:
        selective = panel.mask.endswith("a")
        assert panel.selectivity["de:zero"].p == (0.25 if selective else 1.0)
        assert panel.overall["zero"].p == (0.25 if selective else 1.0)
        assert panel.selectivity["de:zero"].elsewhere is not selective


@pytest.mark.parametrize("before", [-2.0, 0.0])
def test_no_ratio_to_what_is_not_above_0(tmp_path, before):
    scores = ({"x_de": {"score": items}} for items in ([before, before], [1.0, 1.5]))
    change = two_runs(tmp_path, *scores).change("de:zero", "de")
    assert (change.ratio, change.relative, change.relative_interval) == (None, None, None)
    assert change.difference == pytest.approx(1.25 - before)


def test_perplexities_beyond_all_bounds_are_written(tmp_path):
    huge = [(-1200.0, 3), (-3000.0, 3)]  # the mean of the two is just below what a float holds
    pairs = ({"ppl_de": {"token_perplexity": items}} for items in ([(-3.0, 3), (-3.0, 3)], huge))
    table = change_table(two_runs(tmp_path, *pairs), QUICK, "relative", intervals=True)
    assert re.fullmatch(r"\+[0-9.]+e\+30[0-9] \[\+.*, \+inf\]", table.rows[0][1].text)


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_what_is_no_perplexity_is_refused(tmp_path, value):
    given = {"values": {"token_perplexity": value}, "samples": False}
    panel = two_runs(tmp_path, PAIRS, PAIRS, **given)
    assert panel.change("de:zero", "de").obstacles == (f"{value} is no perplexity",)
    assert change_table(panel, QUICK).rows[0][1].marked == "!"


def test_the_documents_of_two_languages_are_drawn_independently(tmp_path):
    items = [(-10.0 - n, 5) for n in range(12)]
    lower = [(value - 0.3 * n, count) for n, (value, count) in enumerate(items)]
    before, after = (
        {f"ppl_{x}": {"token_perplexity": pairs} for x in ("de", "zh")} for pairs in (items, lower)
    )
    of_one = two_runs(tmp_path, before, after).selectivity["de:zero"]
    # The same draws for both would leave no difference in any of them.
    assert of_one.value == 0
    assert of_one.interval[0] < -0.01
    assert of_one.interval[1] > 0.01


def test_draws_that_are_not_kept_are_made_once_for_all_of_a_panel(tmp_path, monkeypatch):
    accuracies(tmp_path, "a", own=5, other=7, controls=2)
    drawn, real = [], paired._drawn
    monkeypatch.setattr(paired, "_drawn", lambda *asked: drawn.append(asked) or real(*asked))
    monkeypatch.setattr(paired, "_REMEMBERED", 0)
    (panel,) = compare(tmp_path, draws=QUICK).panels
    assert panel.overall["zero"].interval
    streams = [("documents", 10, QUICK.resamples, (0, 0, stream)) for stream in (0, 1, 2)]
    assert drawn == [("swaps", 10, QUICK.permutations, (0, 1)), *streams]


def test_paths_and_rows_are_compared_alike(tmp_path):
    accuracies(tmp_path, "a", own=5, other=8)
    expected = compared(tmp_path)
    files = [tmp_path / "none", str(tmp_path / "ade"), tmp_path / "azh"]
    for given in (tmp_path, str(tmp_path), files, expected.rows):
        assert compare(given, draws=QUICK).panels == expected.panels
    (panel,) = expected.panels
    assert repr(expected).startswith("<Comparison of 6 numbers>\n")
    assert expected.summary()[1][1:] == [
        ["acc", "x_*", "org/model", "sha256-aaaaaaaaaaaa", "3", "2"]
    ]
    assert repr(panel).startswith("<Panel acc of x_*, org/model in float32, mask sha256-aaaaaaaaaa")
    assert panel.summary()[1] == [
        ["condition", "de", "zh"],
        ["none", "0.800", "0.800"],
        ["de:zero", "-0.300", "0.000="],
        ["zh:zero", "0.000=", "-0.300"],
    ]
    header, *lines = csv.reader(io.StringIO("".join(csv_parts(expected))))
    frame = expected.to_frame()
    assert list(frame) == header
    assert [str(value) for value in frame["value"]] == [line[7] for line in lines]


@pytest.mark.parametrize(("given", "said"), [(5, "int"), ([5], "int"), (None, "PosixPath, Row")])
def test_what_is_neither_path_nor_row_is_an_error(tmp_path, given, said):
    if given is None:
        write_run(tmp_path, "none", {"x_de": {"acc": [1]}})
        given = [*read_results([tmp_path]), tmp_path]
    with pytest.raises(
        LsnError, match=f"paths of .* or rows of read_results, were expected; {said} were given"
    ):
        compare(given)


def test_two_masks_under_one_condition_are_two_panels_however_they_are_read(tmp_path):
    accuracies(tmp_path, "a", own=5, other=8)
    accuracies(tmp_path, "b", own=6, other=8)
    rows = [row for file in sorted(tmp_path.rglob("results_*")) for row in read_results([file])]
    for comparison in (compare(rows, draws=QUICK), compare(tmp_path, draws=QUICK)):
        assert [panel.mask[7] for panel in comparison.panels] == ["a", "b"]
        assert not any("twice" in note for panel in comparison.panels for note in panel.notes)
