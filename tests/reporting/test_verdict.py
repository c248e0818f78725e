"""The first sentences of a report: that they count what is there, and say what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders.report_results import GERMAN, sample, write_run

from lsn_eval.comparing import compare
from lsn_eval.reporting import ReportOptions, write_report
from lsn_eval.reporting.verdict import Verdict, verdict
from lsn_eval.results import read_results

LANGUAGES = ("de", "en", "nl")


def logged(right: int) -> list[dict]:
    """Eight answers, the first of which score."""
    return [sample(n, f"Frage {n}", GERMAN, float(n < right)) for n in range(8)]


def write(folder: Path, condition: str, *right: int, samples: bool = True) -> None:
    answers = {code: logged(count) for code, count in zip(LANGUAGES, right, strict=False)}
    write_run(folder / condition.replace("/", "+"), condition, answers, samples=samples)


def found(folder: Path) -> Verdict:
    return verdict(compare(read_results([folder])))


def cautions(folder: Path) -> dict[str, str]:
    written = write_report([folder], folder / "r.html", ReportOptions())
    return {caution.title: caution.text for caution in written.cautions}


def test_without_samples_nothing_is_said_to_be_clean(tmp_path):
    write(tmp_path, "none", 8, 8, samples=False)
    write(tmp_path, "de:zero", 2, 8, samples=False)
    write(tmp_path, "random1-de:zero", 7, 8, samples=False)
    told = found(tmp_path).headline
    assert "in 1 of 1 (1 control each: the least rank p that it can show is 0.5)." in told
    assert told.endswith("This change has no interval.")
    assert cautions(tmp_path)["No interval and no test"].startswith("all 2 changes, which may be ")
    page = (tmp_path / "r.html").read_text()
    assert "No warnings" not in page
    assert "1 intervention and 1 random control on" in page


def test_changes_without_samples_are_counted_and_named(tmp_path):
    write(tmp_path, "none", 8, 8)
    write(tmp_path, "de:zero", 2, 8)
    write(tmp_path, "en:zero", 8, 1, samples=False)
    assert found(tmp_path).headline.endswith("1 of the 2 has no interval.")
    assert cautions(tmp_path)["No interval and no test"].startswith("2 of 4 changes, which")
    assert "en:zero on de (accuracy of ask_*" in (tmp_path / "r.html").read_text()


def test_undecided_are_counted_among_those_with_an_interval(tmp_path):
    write(tmp_path, "none", 8, 8, 8)
    write(tmp_path, "de:zero", 7, 8, 8)
    write(tmp_path, "en:zero", 8, 1, 8)
    write(tmp_path, "nl:zero", 8, 8, 7, samples=False)
    told = found(tmp_path).headline
    assert "In 1 of the 2 with an interval, it holds 0. 1 of the 3 has no interval." in told


def test_numbers_of_controls_that_differ_are_a_range(tmp_path):
    write(tmp_path, "none", 8, 8)
    for condition in ("de:zero", "random1-de:zero"):
        write(tmp_path, condition, 2 if condition == "de:zero" else 8, 8)
    for condition in ("en:zero", "random1-en:zero", "random2-en:zero"):
        write(tmp_path, condition, 8, 2 if condition == "en:zero" else 8)
    assert (
        "1 to 2 controls each: the least rank p that they can show is 0.5 to 0.33"
        in found(tmp_path).headline
    )


@pytest.fixture
def steering(tmp_path) -> Path:
    write(tmp_path, "none", 8, 8, 8)
    write(tmp_path, "de:p90", 8, 4, 1)
    write(tmp_path, "en:zero/de:p90", 8, 2, 7)
    write(tmp_path, "random1-en:zero/random1-de:p90", 8, 7, 8)
    return tmp_path


def test_a_larger_change_elsewhere_is_named(steering):
    told = found(steering).headline
    assert (
        "Where another language changes more than the own one, the most is -0.875 on nl under "
        "de:p90 (interval without 0; no controls), beside 0.000 on de."
    ) in told


def test_conditions_about_several_languages_have_a_sentence(steering):
    told = found(steering)
    assert "no random controls of conditions about one language were evaluated" in told.headline
    change = "-0.750 on en under en:zero/de:p90 (interval without 0; 1 control -0.125, rank p 0.5)."
    assert told.headline.endswith(
        f"1 condition is about several languages; its largest change is {change}"
    )
    ((_, sentences),) = told.panels
    assert sentences[-1] == f"Conditions about several languages: at most {change}"


def test_random_neurons_of_several_languages_are_no_condition_about_them(tmp_path):
    write(tmp_path, "none", 8, 8)
    write(tmp_path, "de:zero", 2, 8)
    write(tmp_path, "random1-de:zero/random1-en:zero", 7, 8)
    assert "several languages" not in found(tmp_path).headline


def test_metrics_are_named_where_there_are_several(steering):
    for condition, value in (("none", 5.0), ("de:p90", 5.0), ("en:zero/de:p90", 20.0)):
        write_run(
            steering / f"ppl {condition.replace('/', '+')}", condition,
            perplexities={"de": value, "en": value * (2 if condition == "de:p90" else 1)},
        )  # fmt: skip
    told = found(steering).headline
    assert "in accuracy -0.875 on nl under de:p90" in told
    assert "in token_perplexity +100.0 % on en under de:p90 (no interval; no controls)" in told
    assert "in token_perplexity +300.0 % on de under en:zero/de:p90 (no interval" in told


def test_a_value_that_is_no_number_was_measured(tmp_path):
    write_run(tmp_path / "a", "none", perplexities={"de": 5.0, "en": 5.0})
    write_run(tmp_path / "b", "de:zero", perplexities={"de": float("nan"), "en": 5.5})
    told = found(tmp_path)
    assert "it was measured: de:zero on de (the value is nan)" in told.headline
    assert "no condition is about" not in told.headline
    assert "can be given: de:zero on de (the value is nan)." in " ".join(told.panels[0][1])
    write_run(tmp_path / "c", "en:zero", perplexities={"de": 5.0, "en": 9.0})
    assert (
        "Of 1 more no change on the own language can be given: de:zero on de (the value is nan)."
        in found(tmp_path).headline
    )


def test_only_values_that_are_no_numbers(tmp_path):
    write_run(tmp_path / "a", "none", perplexities={"de": 5.0})
    write_run(tmp_path / "b", "de:zero", perplexities={"de": float("nan")})
    assert found(tmp_path).headline == ("No change can be given: 1 of 1 number is not finite.")


def test_one_condition_on_its_own_language_alone(tmp_path):
    write(tmp_path, "none", 8)
    write(tmp_path, "de:zero", 2)
    assert "1 condition was measured on its own language alone;" in found(tmp_path).headline


def test_controls_that_were_measured_elsewhere_alone(tmp_path):
    write(tmp_path, "none", 8, 8)
    write(tmp_path, "de:zero", 2, 8)
    write_run(tmp_path / "control", "random1-de:zero", {"en": logged(7)})
    assert (
        "; no random control can be compared on a condition's own language."
        in found(tmp_path).headline
    )


def test_more_than_any_other_is_said_only_where_every_other_can_be_compared(tmp_path):
    write(tmp_path, "none", 8, 8, 8)
    answers = {"de": logged(2), "en": logged(7), "nl": logged(3)[:5]}
    write_run(tmp_path / "x", "de:zero", answers)
    told = found(tmp_path).headline
    assert "more than any other" not in told
    assert "whether any of 1 condition changes its own language most cannot be told" in told
    # One that moved further is enough to say that it is not the largest.
    write_run(tmp_path / "x", "de:zero", {**answers, "en": logged(0)})
    assert "in 0 of 1 case" in found(tmp_path).headline


def test_a_control_that_did_as_much_is_counted_against_it(tmp_path):
    write(tmp_path, "none", 8, 8)
    write(tmp_path, "de:zero", 4, 8)
    write(tmp_path, "random1-de:zero", 2, 8)
    write(tmp_path, "random2-de:zero", 7, 8)
    assert "more than every random control in 0 of 1" in found(tmp_path).headline


def test_a_metric_that_is_left_out_can_tell_that_it_was_no_no_op(tmp_path):
    for condition, perplexity in (("none", 5.0), ("de:zero", 9.0)):
        folder = tmp_path / condition.replace(":", "_")
        write_run(
            folder, condition, {"de": logged(8)}, perplexities={"de": perplexity}, samples=False
        )
    options = ReportOptions(metrics=("accuracy",))
    written = write_report([tmp_path], tmp_path / "r.html", options)
    assert "Likely no-op" not in {caution.title for caution in written.cautions}
