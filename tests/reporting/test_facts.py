"""What a report says of each metric: that it counts what is there, and pools nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from builders.report_results import GERMAN, sample, write_run, write_sweep
from builders.results_files import edited

from lsn_eval.comparing import compare
from lsn_eval.reporting.facts import REST, Facts, facts, facts_table
from lsn_eval.results import read_results

LANGUAGES = ("de", "en", "nl")


def logged(right: int) -> list[dict]:
    """Eight answers, the first of which score."""
    return [sample(n, "Frage", GERMAN if n < right else "", float(n < right)) for n in range(8)]


def write(folder: Path, condition: str, *right: int, samples: bool = True) -> None:
    answers = {code: logged(count) for code, count in zip(LANGUAGES, right, strict=False)}
    write_run(folder / condition.replace("/", "+"), condition, answers, samples=samples)


def write_perplexities(folder: Path, **values: tuple[float, ...]) -> None:
    for condition, of in values.items():
        found = dict(zip(LANGUAGES, of, strict=False))
        write_run(folder / condition, condition.replace("_", ":"), perplexities=found)


def found(folder: Path) -> list[Facts]:
    return facts(compare(read_results([folder])))


def one(folder: Path) -> Facts:
    (entry,) = found(folder)
    return entry


def test_every_metric_speaks_for_itself(tmp_path):
    accuracy, perplexity = found(write_sweep(tmp_path))
    assert accuracy.verdict == (
        "accuracy of ask_*: 2 of 2 conditions changed their own language most; selectivity -0.750 "
        "[-0.938, -0.500]; largest of 2 controls 0.000"
    )
    assert perplexity.verdict == (
        "token_perplexity of read_*: 2 of 2 conditions changed their own language most; "
        "selectivity +0.693; largest of 2 controls 0.000"
    )


def test_a_metric_in_which_nothing_shows_takes_nothing_from_another(tmp_path):
    for condition, right, values in (("none", 8, (5.0, 5.0)), ("de:zero", 4, (5.0, 9.0))):
        answers = {"de": logged(right), "en": logged(8)}
        perplexities = dict(zip(LANGUAGES, values, strict=False))
        write_run(tmp_path / condition, condition, answers, perplexities=perplexities)
    assert [entry.most for entry in found(tmp_path)] == [(True,), (False,)]


def test_the_numbers_are_those_of_the_table(tmp_path):
    write(tmp_path, "none", 8, 8, 8)
    write(tmp_path, "de:zero", 2, 8, 7)
    write(tmp_path, "en:zero", 7, 4, 5)
    for number, right in ((1, 7), (2, 6)):
        write(tmp_path, f"random{number}-de:zero", right, 8, 8)
        write(tmp_path, f"random{number}-en:zero", 8, 8, 8)
    entry = one(tmp_path)
    assert list(entry.conditions) == ["de:zero", "en:zero"]
    assert entry.most == (True, True)
    assert entry.own == pytest.approx((-6 / 8 - 4 / 8) / 2)
    assert entry.others == pytest.approx((-1 / 16 - 4 / 16) / 2)
    assert entry.selectivity == pytest.approx(entry.own - entry.others)
    for number, (low, high) in (
        (entry.selectivity, entry.selectivity_interval), (entry.own, entry.own_interval),
    ):  # fmt: skip
        assert low < number < high
    assert sorted(entry.controls) == pytest.approx([-0.25, -0.125, 0.0, 0.0])
    assert entry.p == pytest.approx(1 / 3)
    assert entry.elsewhere == (pytest.approx(-3 / 8), "nl under en:zero")
    table = facts_table([entry], 0.95)
    texts = [cell.text for cell in table.rows[0]]
    assert len(texts) == len(table.columns)
    assert texts[:2] == ["accuracy of ask_*", "2 of 2"]
    assert "95%" in " ".join(table.notes)


MOST = "accuracy of ask_*: 1 of 1 conditions changed their own language most"


def test_without_samples_there_is_no_interval_and_with_one_language_no_selectivity(tmp_path):
    for condition, german in (("none", 8), ("de:zero", 2), ("random1-de:zero", 7)):
        write(tmp_path / "two", condition, german, 8, samples=False)
        write(tmp_path / "one", condition, german)
    told = one(tmp_path / "two").verdict
    assert told == f"{MOST}; selectivity -0.750; largest of 1 control -0.125"
    entry = one(tmp_path / "one")
    assert (entry.selectivity, entry.others, entry.most) == (None, None, ())
    assert entry.own_interval is not None
    assert entry.p == 0.5
    assert "own language -0.750 [" in entry.verdict
    assert entry.verdict.endswith("; largest of 1 control -0.125")


@pytest.mark.parametrize(
    ("values", "said", "counted"),
    [
        ({"none": (5.0,)}, "only the baseline, nothing to compare it with", {"most": ()}),
        # A larger change elsewhere counts against.
        ({"none": (5.0, 8.0), "de_zero": (5.5, 16.0)},
         "0 of 1 conditions changed their own language most; selectivity -0.598; no controls",
         {"most": (False,), "elsewhere": (math.log(2), "en under de:zero")}),
        # What is no number is refused.
        ({"none": (5.0, 5.0), "de_zero": (math.nan, 5.5)},
         "largest change +10.0 % on en under de:zero; 1 refused", {"refused": ("de:zero on de",)}),
        ({"none": (5.0, 5.0), "de_zero": (5.0, 5.0), "en_zero": (5.0, 6.0)},
         "1 of 2 conditions changed their own language most; selectivity +0.091; no controls; "
         "1 likely no-op", {"no_ops": ("de:zero",)}),
    ],
)  # fmt: skip
def test_what_the_verdict_says_and_counts(tmp_path, values, said, counted):
    write_perplexities(tmp_path, **values)
    entry = one(tmp_path)
    assert entry.verdict == f"token_perplexity of read_*: {said}"
    assert {name: getattr(entry, name) for name in counted} == counted


@pytest.mark.parametrize(("english", "most"), [(7, ()), (0, (False,))])
def test_most_is_said_only_where_every_other_language_can_be_compared(tmp_path, english, most):
    write(tmp_path, "none", 8, 8, 8)
    # Dutch has other documents; English moved further or not.
    answers = {"de": logged(2), "en": logged(english), "nl": logged(3)[:5]}
    write_run(tmp_path / "x", "de:zero", answers)
    entry = one(tmp_path)
    assert entry.most == most
    assert entry.refused == ("de:zero on nl",)
    assert entry.verdict.endswith("1 refused")


def test_a_dose_series_counts_once(tmp_path):
    write_perplexities(tmp_path, none=(5.0, 8.0), en_zero=(5.0, 16.0))
    for dose, value in (("x0.9", 5.1), ("x0.5", 6.0), ("x0", 10.0), ("mean", 7.0), ("+1", 6.0)):
        write_run(tmp_path / dose, f"de:{dose}", perplexities={"de": value, "en": 8.0})
    counted = {entry.name.rpartition(", ")[2]: dict(entry.conditions) for entry in found(tmp_path)}
    assert counted == {
        "zero": {"en:zero": ()}, "x0": {"de:x0": ("de:x0.5", "de:x0.9")},
        "steering": {"de:mean": (), "de:+1": ()},
    }  # fmt: skip
    told = next(entry for entry in found(tmp_path) if "de:x0" in entry.conditions)
    assert "1 of 1 conditions" in told.verdict
    assert told.own == pytest.approx(math.log(2))
    assert "weaker doses, not counted: de:x0.5, de:x0.9" in told.cells[1].detail


def test_conditions_about_several_languages_stand_apart(tmp_path):
    write(tmp_path, "none", 8, 8, 8)
    write(tmp_path, "de:zero", 1, 8, 8)
    write(tmp_path, "en:zero/de:zero", 8, 2, 7)
    rest, own = sorted(found(tmp_path), key=lambda entry: not entry.name.endswith(REST))
    assert list(rest.conditions) == ["en:zero/de:zero"]
    assert rest.verdict.endswith("largest change -0.750 on en under en:zero/de:zero")
    assert list(own.conditions) == ["de:zero"]
    assert own.name == "accuracy of ask_*, zero"


def test_steering_is_no_ablation_and_changes_no_language_of_its_own(tmp_path):
    write_perplexities(tmp_path, none=(5.0, 8.0), de_zero=(9.0, 8.1), en_mean=(5.0, 8.0))
    ablation, steered = found(tmp_path)
    assert ablation.name == "token_perplexity of read_*, zero"
    assert (ablation.most, list(ablation.conditions)) == ((True,), ["de:zero"])
    assert steered.name == "token_perplexity of read_*, steering"
    assert (steered.most, steered.selectivity, list(steered.conditions)) == ((), None, ["en:mean"])


def test_a_fall_of_the_own_perplexity_is_no_change_of_its_own_language_most(tmp_path):
    write_perplexities(tmp_path, none=(5.0, 8.0), de_zero=(2.5, 8.1))
    (entry,) = found(tmp_path)
    assert entry.most == (False,)
    assert entry.selectivity < 0


def test_the_largest_control_is_the_one_that_ranks_highest(tmp_path):
    write_perplexities(
        tmp_path, **{"none": (5.0, 8.0), "de_zero": (9.0, 8.0), "random1-de_zero": (2.5, 8.0),
                     "random2-de_zero": (5.5, 8.0)},
    )  # fmt: skip
    (entry,) = found(tmp_path)
    assert entry.p == pytest.approx(1 / 3)
    assert entry.verdict.endswith("largest of 2 controls +0.095")


def test_models_are_named_where_there_are_several(tmp_path):
    for model in ("one", "two"):
        write_perplexities(tmp_path / model, none=(5.0, 8.0), de_zero=(9.0, 8.1))
        for path in (tmp_path / model).rglob("results_*.json"):
            edited(path, lambda d, name=model: d["config"]["lsn"]["model"].update(name=name))
    names = [entry.name for entry in found(tmp_path)]
    assert names == [f"token_perplexity of read_*, {model}" for model in ("one", "two")]
