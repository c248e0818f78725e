"""Numbers that are not of the same kind of run, conditions that are no controls, and odd numbers."""

from __future__ import annotations

import csv
import io
import re

import pytest
from builders.results import QUICK, compared, write_run

from lsn_eval.comparing import compare
from lsn_eval.errors import LsnError
from lsn_eval.results import read_results
from lsn_eval.tables import change_table
from lsn_eval.tables.leaderboard import leaderboard
from lsn_eval.tables.tidy_files import csv_parts


def two_runs(tmp_path, **of_the_condition):
    pairs = {"ppl_de": {"token_perplexity": [(-10.0, 5), (-20.0, 9)]}}
    moved = {"ppl_de": {"token_perplexity": [(-12.0, 5), (-23.0, 9)]}}
    write_run(tmp_path / "a", "none", pairs)
    write_run(tmp_path / "b", "de:zero", moved, **of_the_condition)
    (panel,) = compared(tmp_path).panels
    return panel.change("de:zero", "de")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prefix_token_id": 7}, "model arguments none and prefix_token_id=7"),
        ({"load_in_4bit": True}, "model arguments none and load_in_4bit=True"),
        ({"batch_size": 4, "device": "cuda", "mask": "m", "condition": "de:zero"}, None),
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_model_loaded_with_other_arguments_is_refused(tmp_path, arguments, message, as_text):
    given = {"pretrained": "org/model", "dtype": "float32", **arguments}

    def edit(document):
        text = ",".join(f"{name}={value}" for name, value in given.items())
        document["config"]["model_args"] = text if as_text else given

    change = two_runs(tmp_path, edit=edit)
    assert (change.shift is None) == (message is not None)
    assert message is None or message in change.obstacles[0]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("model", "vllm", "backend hf and vllm"), ("model_num_parameters", 8, "parameters 7 and 8")],
)
def test_another_backend_or_size_is_refused(tmp_path, name, value, message):
    pairs = {"ppl_de": {"token_perplexity": [(-10.0, 5), (-20.0, 9)]}}
    for folder, condition in (("a", "none"), ("b", "de:zero")):
        config = {"model_num_parameters": 7, **({name: value} if folder == "b" else {})}
        write_run(
            tmp_path / folder, condition, pairs, edit=lambda d, c=config: d["config"].update(c)
        )
    (panel,) = compared(tmp_path).panels
    assert message in panel.change("de:zero", "de").obstacles[0]


def test_two_adapters_are_two_models(tmp_path):
    pairs = {"ppl_de": {"token_perplexity": [(-10.0, 5)]}}
    for place, (condition, adapter) in enumerate(
        [("none", "one"), ("de:zero", "one"), ("none", "two"), ("none", None)]
    ):

        def edit(document, adapter=adapter):
            if adapter:
                document["config"]["model_args"]["peft"] = adapter

        write_run(tmp_path / str(place), condition, pairs, edit=edit)
    rows = read_results([tmp_path])
    assert {row.model for row in rows} == {"org/model", "org/model+one", "org/model+two"}
    assert not any(row.older for row in rows)


def test_an_adapter_that_the_record_names_is_named_once(tmp_path):
    def edit(document):
        document["config"]["model_args"]["peft"] = "one"
        document["config"]["lsn"]["model"]["name"] += "+one"

    write_run(tmp_path, "de:zero", {"ppl_de": {"token_perplexity": [(-10.0, 5)]}}, edit=edit)
    (row,) = read_results([tmp_path])
    assert row.model == "org/model+one"
    assert "model:org/model+one|" in row.signature


def seen(overwritten, changed):
    def edit(document):
        document["config"]["lsn"]["seen"]["hookpoints"] = {
            "mlp.act": {"values_overwritten": overwritten, "values_changed": changed}
        }

    return edit


def test_a_number_that_moved_though_no_value_did_is_refused(tmp_path):
    change = two_runs(tmp_path, edit=seen(100, 0))
    assert change.shift is None
    assert "every value written was there already, and yet the number moved" in change.obstacles[0]
    assert two_runs(tmp_path / "x", edit=seen(100, 3)).shift > 0


def test_values_that_were_all_there_are_a_no_op_whatever_rounding_did(tmp_path):
    items = [(-10.0 - n, 5) for n in range(8)]
    rounded = [(a + (1e-5 if n % 2 else -1e-5), b) for n, (a, b) in enumerate(items)]
    write_run(tmp_path / "a", "none", {"ppl_de": {"token_perplexity": items}})
    write_run(tmp_path / "b", "de:zero", {"ppl_de": {"token_perplexity": rounded}}, edit=seen(9, 0))
    comparison = compared(tmp_path)
    assert comparison.unmoved == {("org/model", "sha256-3986c9d8f34d", "de:zero")}
    (note,) = comparison.notes
    assert "the model did the same as under none" in note


def test_another_metric_that_moved_is_no_no_op(tmp_path):
    for folder, condition, second in (("a", "none", [1, 1]), ("b", "de:zero", [0, 1])):
        tasks = {"x_de": {"acc": [1, 0], "acc_norm": second}}
        write_run(tmp_path / folder, condition, tasks, samples=False)
    rows = read_results([tmp_path])
    first = [row for row in rows if row.metric == "acc"]
    assert compare(first, draws=QUICK).notes
    assert not compare(first, draws=QUICK, beside=rows).notes


def test_equal_answers_with_other_scores_are_not_called_equal_numbers(tmp_path):
    for folder, condition, items in (("a", "none", [0, 0]), ("b", "de:zero", [1, 1])):
        write_run(
            tmp_path / folder, condition, {"x_de": {"acc": items}},
            edit_sample=lambda _, sample: sample.update(resps=[["the same"]]),
        )  # fmt: skip
    (note,) = compared(tmp_path).notes
    assert "the model did the same as under none" in note
    assert "number" not in note


def test_half_a_control_is_none_and_the_order_of_terms_is_nothing(tmp_path):
    pairs = {"ppl_de": {"token_perplexity": [(-10.0, 5)]}}
    both = "en:zero/de:zero"
    real = ["random1-en:zero/random1-de:zero", "random2-de:zero/random2-en:zero"]
    half = ["en:zero/random1-de:zero", "random1-en:zero/de:zero", "random1-en:zero/random2-de:zero"]
    for place, condition in enumerate(["none", both, *real, *half]):
        write_run(tmp_path / str(place), condition, pairs)
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
    accuracies(tmp_path, "a", own=5, other=8)
    accuracies(tmp_path, "b", own=8, other=4)
    (table,) = leaderboard(compared(tmp_path))
    assert [row[1].text for row in table.rows] == ["sha256-" + "a" * 12, "sha256-" + "b" * 12]
    assert f"not selective, the other languages changed more: sha256-{'b' * 12}" in table.notes
    assert [[cell.text for cell in row[5:8]] for row in table.rows] == [
        ["-0.300", "0.000", "-0.300"],
        ["0.000", "-0.400", "+0.400"],
    ]


def test_the_rank_of_a_selectivity_of_accuracies_goes_by_the_own_language(tmp_path):
    accuracies(tmp_path, "a", own=5, other=8, controls=3)
    accuracies(tmp_path, "b", own=8, other=4, controls=3)
    for panel in compared(tmp_path).panels:
        selective = panel.mask.endswith("a")
        assert panel.selectivity["de:zero"].p == (0.25 if selective else 1.0)
        assert panel.overall["zero"].p == (0.25 if selective else 1.0)
        assert panel.selectivity["de:zero"].elsewhere is not selective


@pytest.mark.parametrize("before", [-2.0, 0.0])
def test_no_ratio_to_what_is_not_above_0(tmp_path, before):
    write_run(tmp_path / "a", "none", {"x_de": {"score": [before, before]}})
    write_run(tmp_path / "b", "de:zero", {"x_de": {"score": [1.0, 1.5]}})
    (panel,) = compared(tmp_path).panels
    change = panel.change("de:zero", "de")
    assert (change.ratio, change.relative, change.relative_interval) == (None, None, None)
    assert change.difference == pytest.approx(1.25 - before)


def test_perplexities_beyond_all_bounds_are_written(tmp_path):
    write_run(tmp_path / "a", "none", {"ppl_de": {"token_perplexity": [(-3.0, 3), (-3.0, 3)]}})
    huge = [(-1200.0, 3), (-3000.0, 3)]  # the mean of the two is just below what a float holds
    write_run(tmp_path / "b", "de:zero", {"ppl_de": {"token_perplexity": huge}})
    (panel,) = compared(tmp_path).panels
    table = change_table(panel, QUICK, "relative", intervals=True)
    assert re.fullmatch(r"\+[0-9.]+e\+30[0-9] \[\+.*, \+inf\]", table.rows[0][1].text)


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_what_is_no_perplexity_is_refused(tmp_path, value):
    pairs = {"ppl_de": {"token_perplexity": [(-10.0, 5)]}}
    write_run(tmp_path / "a", "none", pairs)
    write_run(tmp_path / "b", "de:zero", pairs, values={"token_perplexity": value}, samples=False)
    (panel,) = compared(tmp_path).panels
    assert panel.change("de:zero", "de").obstacles == (f"{value} is no perplexity",)
    assert change_table(panel, QUICK).rows[0][1].marked == "!"


def test_other_local_data_is_refused_where_the_prompts_are_not_hashed(tmp_path):
    pairs = {"ppl_de": {"token_perplexity": [(-10.0, 5)]}}
    for folder, condition in (("old", "none"), ("new", "de:zero")):
        write_run(
            tmp_path / folder, condition, pairs, samples=False,
            configs={"metadata": {"data_root": f"/{folder}"}},
        )  # fmt: skip
    (panel,) = compared(tmp_path).panels
    assert "data root /old and /new" in panel.change("de:zero", "de").obstacles[0]


def test_the_documents_of_two_languages_are_drawn_independently(tmp_path):
    items = [(-10.0 - n, 5) for n in range(12)]
    lower = [(value - 0.3 * n, count) for n, (value, count) in enumerate(items)]
    for folder, condition, given in (("a", "none", items), ("b", "de:zero", lower)):
        tasks = {f"ppl_{x}": {"token_perplexity": given} for x in ("de", "zh")}
        write_run(tmp_path / folder, condition, tasks)
    (panel,) = compared(tmp_path).panels
    found = panel.selectivity["de:zero"]
    # The same draws for both would leave no difference in any of them.
    assert found.value == 0
    assert found.interval[0] < -0.01
    assert found.interval[1] > 0.01


def test_paths_and_rows_are_compared_alike(tmp_path):
    accuracies(tmp_path, "a", own=5, other=8)
    expected = compared(tmp_path)
    for given in (
        tmp_path,
        str(tmp_path),
        [tmp_path / "none", str(tmp_path / "ade"), tmp_path / "azh"],
        expected.rows,
    ):
        assert compare(given, draws=QUICK).panels == expected.panels
    assert repr(expected) == (
        "<Comparison of 6 numbers:\n  <Panel acc of x_*, org/model in float32, mask "
        "sha256-aaaaaaaaaaaa: 3 conditions x 2 languages>>"
    )


@pytest.mark.parametrize(("given", "said"), [(5, "int"), ([5], "int"), (None, "PosixPath, Row")])
def test_what_is_neither_path_nor_row_is_an_error(tmp_path, given, said):
    if given is None:
        write_run(tmp_path, "none", {"x_de": {"acc": [1]}})
        given = [*read_results([tmp_path]), tmp_path]
    with pytest.raises(
        LsnError, match=f"takes paths .* or rows of read_results; {said} were given"
    ):
        compare(given)


def test_a_frame_has_the_columns_and_numbers_of_the_csv(tmp_path):
    accuracies(tmp_path, "a", own=5, other=8)
    comparison = compared(tmp_path)
    lines = csv.reader(io.StringIO("".join(csv_parts(comparison))))
    frame = comparison.to_frame()
    assert list(frame) == next(lines)
    assert [str(value) for value in frame["value"]] == [line[7] for line in lines]


def test_two_masks_under_one_condition_are_two_panels_however_they_are_read(tmp_path):
    accuracies(tmp_path, "a", own=5, other=8)
    accuracies(tmp_path, "b", own=6, other=8)
    rows = [row for file in sorted(tmp_path.rglob("results_*")) for row in read_results([file])]
    for comparison in (compare(rows, draws=QUICK), compare(tmp_path, draws=QUICK)):
        assert [panel.mask[7] for panel in comparison.panels] == ["a", "b"]
        assert not any("twice" in note for panel in comparison.panels for note in panel.notes)
