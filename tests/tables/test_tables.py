"""Tables of a comparison: what cells say, which signs they bear, and every format of them."""

from __future__ import annotations

import csv
import json
import math
import re

import pytest
from builders.results import LANGUAGES, compared, two_runs, write_run, write_sweep
from builders.results_files import edited

from lsn_eval.comparing import Draws
from lsn_eval.errors import LsnError
from lsn_eval.tables import Cell, Table, change_table, own_table
from lsn_eval.tables.formats import latex, markdown, render, terminal
from lsn_eval.tables.leaderboard import leaderboard
from lsn_eval.tables.tidy_files import csv_parts, json_parts
from lsn_eval.tables.views import default_show, parse_show
from lsn_eval.visible_text import one_line
from lsn_eval.wording.text_tables import markdown_text

DRAWS = Draws(resamples=200, permutations=199)


def csv_rows(comparison) -> list[dict[str, str]]:
    return list(csv.DictReader("".join(csv_parts(comparison)).splitlines(keepends=True)))


def document(comparison) -> dict:
    return json.loads("".join(json_parts(comparison)))


def texts(table: Table) -> dict[str, list[str]]:
    return {row[0].text.strip(): [cell.marked for cell in row[1:]] for row in table.rows}


def values(table: Table) -> dict[str, list[float | None]]:
    return {row[0].text.strip(): [cell.value for cell in row[1:]] for row in table.rows}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A comparison, and the same numbers in a spreadsheet of condition and language."""
    folder = tmp_path_factory.mktemp("sweep")
    data = write_sweep(folder, documents=40)
    sheet = {}
    for place, pairs in data.items():
        over = sum(-loglikelihood for loglikelihood, _ in pairs)
        sheet[place] = math.exp(over / sum(tokens for _, tokens in pairs))
    return compared(folder), sheet


def mean(numbers):
    return sum(numbers) / len(numbers)


def geometric(numbers):
    return math.prod(numbers) ** (1 / len(numbers))


@pytest.mark.parametrize("show", ["value", "difference", "relative", "ratio", "ppxc"])
def test_a_table_equals_a_spreadsheet(swept, show):
    comparison, sheet = swept
    table = change_table(comparison.panels[0], DRAWS, show)
    assert table.columns == ("condition", *LANGUAGES, "mean")
    found = values(table)
    none = [sheet["none", language] for language in LANGUAGES]
    shown = [f"{x}:zero" for x in LANGUAGES]
    for condition in [*shown, *(["none"] if show == "value" else [])]:
        after = [sheet[condition, language] for language in LANGUAGES]
        ratios = [a / b for a, b in zip(after, none, strict=True)]
        differences = [a - b for a, b in zip(after, none, strict=True)]
        minus = [*differences, mean(differences)]
        expected = {
            "value": [*after, geometric(after)], "difference": minus, "ppxc": minus,
            "relative": [*(r - 1 for r in ratios), geometric(ratios) - 1],
            "ratio": [*ratios, geometric(ratios)],
        }[show]  # fmt: skip
        assert found[condition] == pytest.approx(expected)
    if show != "value":
        assert found["(none)"] == pytest.approx([*none, geometric(none)])
    said = "arithmetic" if show in ("difference", "ppxc") else "geometric"
    assert f"mean: {said}, over the languages, not tested" in table.notes


def test_cells_are_written_with_their_sign_and_interval(swept):
    comparison, sheet = swept
    panel = comparison.panels[0]
    change = panel.change("de:zero", "de")
    percents = 100 * (sheet["de:zero", "de"] / sheet["none", "de"] - 1)
    assert texts(change_table(panel, DRAWS))["de:zero"][1] == f"{percents:+.1f}"
    cell = change_table(panel, DRAWS, intervals=True).rows[2][2]
    low, high = (100 * math.expm1(end) for end in change.interval)
    assert cell.text == f"{percents:+.1f} [{low:+.1f}, {high:+.1f}]"
    assert f"p = {change.p:.2g}" in cell.detail
    assert "over 40 documents; 2 controls" in cell.detail


def test_controls_are_a_range_or_rows(swept):
    comparison, sheet = swept
    panel = comparison.panels[0]
    row = next(r for r in change_table(panel, DRAWS, "ratio").rows if r[0].text == "  2 controls")
    ratios = [sheet[f"random{k}-en:zero", "de"] / sheet["none", "de"] for k in (1, 2)]
    assert row[2].text == f"{min(ratios):.2f} to {max(ratios):.2f}"
    assert row[-1].text == ""
    every = values(change_table(panel, DRAWS, "ratio", all_controls=True))
    assert every["random2-en:zero"][1] == pytest.approx(ratios[1])
    assert "2 controls" not in every


def test_controls_without_their_condition_have_rows_on_demand_alone(tmp_path):
    write_sweep(tmp_path, conditions=["none", "zh:zero", "random1-de:zero"])
    (panel,) = compared(tmp_path).panels
    assert list(texts(change_table(panel, DRAWS))) == ["zh:zero", "(none)"]
    every = texts(change_table(panel, DRAWS, all_controls=True))
    assert list(every) == ["zh:zero", "random1-de:zero (control)", "(none)"]
    assert [row[0].text for row in own_table(panel, DRAWS).rows] == ["zh:zero"]


def test_a_number_that_its_samples_contradict_is_marked_with_its_mean_and_selectivity(tmp_path):
    write_sweep(tmp_path, conditions=["none", "zh:zero"])
    write_sweep(tmp_path, conditions=["de:zero"], values={"token_perplexity": 7.0})
    comparison = compared(tmp_path)
    (panel,) = comparison.panels
    legend = "! beside a number: the samples of it, or of none, give another"
    table = change_table(panel, DRAWS)
    assert [text[-1] for text in texts(table)["de:zero"]] == ["!"] * 4
    assert "!" not in "".join(texts(table)["zh:zero"])
    assert legend in table.notes
    assert texts(change_table(panel, DRAWS, "value"))["de:zero"] == ["7.00!"] * 4
    own = own_table(panel, DRAWS)
    assert [text[-1:] for text in texts(own)["de:zero"]][1::5] == ["!", "!"]
    assert legend in own.notes
    (board,) = leaderboard(comparison)
    assert {cell.mark for cell in board.rows[0][4:8]} == {"contradicted"}
    assert "! the samples of one of its numbers give another" in board.notes
    number = comparison.to_frame().query("condition == 'de:zero' and language == 'de'").iloc[0]
    assert (number["mark"], number["value"]) == ("contradicted", 7.0)


def test_a_control_that_is_missing_or_refused_is_seen_in_the_range(tmp_path):
    write_sweep(tmp_path, documents=40)
    files = [next((tmp_path / f"random{k}-de_zero").glob("results_*")) for k in (1, 2)]
    edited(files[0], lambda d: d["results"].pop("ppl_en"))
    edited(files[1], lambda d: d["versions"].update(ppl_zh=2.0))
    rows = change_table(compared(tmp_path).panels[0], DRAWS).rows
    place = next(n for n, row in enumerate(rows) if row[0].text == "de:zero") + 1
    assert re.fullmatch(r"\S+ to \S+ \(1\)", rows[place][1].marked)
    assert re.fullmatch(r"\S+ to \S+ \(1\)!", rows[place][3].marked)


def test_signs_say_what_is_undecided_refused_and_unchanged(tmp_path):
    answers = {"none": [1, 0], "de:zero": [0, 1], "en:zero": [1, 0], "zh:zero": [0, 0]}
    for condition, two in answers.items():
        edit = (lambda d: d["versions"].update(a_de=9)) if condition == "zh:zero" else None
        tasks = {f"a_{x}": {"acc": two * 20} for x in ("de", "en")}
        write_run(tmp_path / condition[:2], condition, tasks, edit=edit)
    (panel,) = compared(tmp_path).panels
    table = change_table(panel, DRAWS)
    found = texts(table)
    assert found["de:zero"] == ["0.000~", "0.000~", "0.000"]
    assert found["en:zero"] == ["0.000=", "0.000=", "0.000"]
    de = panel.languages.index("de")
    assert [found["zh:zero"][n] for n in (de, 1 - de, 2)] == ["!", "-0.500", "!"]
    notes = "\n".join(table.notes)
    for said in ("~ the 95% interval", "= the same number", "! no change or mean", "task version"):
        assert said in notes
    shown = texts(change_table(panel, DRAWS, "value"))
    assert [shown["zh:zero"][n] for n in (de, 2)] == ["0.000!", "!"]
    assert shown["none"] == ["0.500", "0.500", "0.500"]


def test_a_ratio_to_zero_is_refused_and_the_sign_explained(tmp_path):
    panel = two_runs(tmp_path, {"a_de": {"acc": [0, 0]}}, {"a_de": {"acc": [1, 0]}})
    table = change_table(panel, DRAWS, "relative")
    assert texts(table)["de:zero"] == ["!"]
    assert any(note.startswith("! no change") for note in table.notes)
    assert table.rows[0][1].detail == "no ratio to 0"


def test_what_is_no_number_is_marked_in_values_and_changes(tmp_path):
    write_sweep(tmp_path, conditions=["none", "de:zero"])
    file = next((tmp_path / "de_zero").glob("results_*"))
    edited(file, lambda d: d["results"]["ppl_de"].update({"token_perplexity,none": math.nan}))
    comparison = compared(tmp_path)
    shown = texts(change_table(comparison.panels[0], DRAWS, "value"))["de:zero"]
    assert (shown[1], shown[3]) == ("nan!", "!")
    assert not shown[2].endswith("!")
    assert texts(change_table(comparison.panels[0], DRAWS))["de:zero"][1] == "!"
    assert document(comparison)["numbers"][4]["value"] is None


def test_own_table_has_the_numbers_of_the_panel(swept):
    panel = swept[0].panels[0]
    table = own_table(panel, DRAWS)
    assert [row[0].text for row in table.rows] == [f"{x}:zero" for x in LANGUAGES]
    for language, row in zip(LANGUAGES, table.rows, strict=True):
        change = panel.change(f"{language}:zero", language)
        of_one = panel.selectivity[f"{language}:zero"]
        numbers = change.shift, change.p_holm, change.control_p
        assert tuple(row[n].value for n in (2, 4, 6)) == numbers
        assert row[2].text == f"{100 * math.expm1(change.shift):+.1f} %"
        assert row[5].text.endswith("% (2)")
        assert row[7].text == f"{of_one.value:+.3f}"
        assert row[8].text == f"[{of_one.interval[0]:+.3f}, {of_one.interval[1]:+.3f}]"
        assert row[9].text == "0.33"
    assert table.notes[-1] == str(DRAWS)


def test_without_samples_no_table_speaks_of_draws(tmp_path):
    write_sweep(tmp_path, samples=False)
    comparison = compared(tmp_path)
    tables = [own_table(comparison.panels[0], DRAWS), *leaderboard(comparison)]
    for table in tables:
        assert not any("resamples" in note for note in table.notes)
        assert any("ithout" in note and "samples" in note for note in table.notes)


def test_own_table_keeps_what_is_refused_and_says_where_selectivity_is_missing(tmp_path):
    write_sweep(tmp_path)
    file = next((tmp_path / "de_zero").glob("results_*"))
    edited(file, lambda d: d["versions"].update(ppl_de=2.0))
    table = own_table(compared(tmp_path).panels[0], DRAWS)
    assert texts(table)["de:zero"] == ["de", "!", *[""] * 7]
    assert any("selectivity is given for 2 of 3 conditions" in note for note in table.notes)
    assert own_table(compared(tmp_path / "none").panels[0], DRAWS) is None


def test_an_unknown_or_senseless_view_is_an_error(tmp_path):
    with pytest.raises(LsnError, match="'colour' cannot be shown; there are value, difference"):
        parse_show(["colour"])
    write_run(tmp_path / "a", "none", {"a_de": {"acc": [0, 1]}})
    panel = compared(tmp_path).panels[0]
    assert default_show(panel) == "value"
    with pytest.raises(LsnError, match="PPXC is a change of perplexity; acc is none"):
        change_table(panel, DRAWS, "ppxc")


# --- leaderboard


def board(root, *, draws=DRAWS, **given):
    return leaderboard(compared(root, draws=draws, **given))


def test_the_leaderboard_orders_models_and_masks_by_selectivity(tmp_path):
    alone = [f"{x}:zero" for x in LANGUAGES]
    write_sweep(tmp_path / "a", effect=0.3)
    write_sweep(tmp_path / "b", effect=0.6, digest="f" * 64, conditions=alone)
    write_sweep(tmp_path / "c", effect=0.9, model="org/other")
    comparison = compared(tmp_path)
    (table,) = leaderboard(comparison)
    assert [row[0].text for row in table.rows] == ["org/other", "org/model", "org/model"]
    assert [row[1].text[7:11] for row in table.rows] == ["3986", "ffff", "3986"]
    for row, panel in zip(table.rows, reversed(comparison.panels), strict=True):
        overall = panel.overall["zero"]
        assert row[7].value == overall.selectivity == pytest.approx(overall.own - overall.others)
        none = [panel.change("none", x).row.value for x in LANGUAGES]
        assert row[4].value == pytest.approx(geometric(none))
        assert row[5].text == f"{100 * math.expm1(overall.own):+.1f} %"
    assert table.rows[1][9].text == ""
    assert table.rows[0][9].text.endswith("(2)")


def test_accuracies_that_fall_are_as_selective_as_those_that_rise(tmp_path):
    right = lambda hits: {"acc": [1.0] * hits + [0.0] * (48 - hits)}  # noqa: E731
    for model, hits in (("org/small", 30), ("org/large", 5)):
        for condition, of_de in (("none", 40), ("de:zero", hits)):
            tasks = {"a_de": right(of_de), "a_en": right(40)}
            write_run(tmp_path / model / condition[:2], condition, tasks, model=model)
    (table,) = board(tmp_path)
    assert [row[0].text for row in table.rows] == ["org/large", "org/small"]
    assert table.rows[0][7].text == f"{-35 / 48:+.3f}"


def hashed(digit):
    return lambda d: d.update(task_hashes=dict.fromkeys(d["results"], digit * 64))


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        (lambda d: d.update(versions=dict.fromkeys(d["versions"], 2.0)), "task version"),
        (lambda d: d.update(lm_eval_version="0.5"), "lm_eval"),
        (lambda d: [n.update(effective=5) for n in d["n-samples"].values()], "documents"),
        (hashed("2"), "prompts"),
    ],
)
def test_models_measured_with_something_else_have_tables_of_their_own(tmp_path, edit, name):
    write_sweep(tmp_path / "a", edit=hashed("1") if name == "prompts" else None, samples=False)
    write_sweep(tmp_path / "b", model="org/other", edit=edit, samples=False)
    tables = board(tmp_path)
    assert [len(table.rows) for table in tables] == [1, 1]
    for table in tables:
        assert f"not to be compared with the other table of this name: {name} differ" in table.notes


def test_a_run_without_logged_samples_joins_the_one_with_the_same_settings(tmp_path):
    write_sweep(tmp_path / "a", edit=hashed("1"))
    write_sweep(tmp_path / "b", model="org/other", samples=False)
    (table,) = board(tmp_path)
    assert len(table.rows) == 2
    assert "without samples of every cell there is no interval" in table.notes


@pytest.mark.parametrize(
    ("metric", "other", "mark"),
    [
        ("token_perplexity", {"edit": lambda d: d.update(max_length=9)}, "doubtful"),
        ("byte_perplexity", {"edit": lambda d: d.update(max_length=9)}, ""),
        ("token_perplexity", {"seed": 1}, "doubtful"),  # another number of tokens in the same text
    ],
)
def test_another_tokenizer_is_marked_for_means_over_tokens_alone(tmp_path, metric, other, mark):
    write_sweep(tmp_path / "a", metric=metric)
    write_sweep(tmp_path / "b", metric=metric, model="org/other", **other)
    (table,) = board(tmp_path)
    assert {cell.mark for row in table.rows for cell in row[4:8]} == {mark}
    assert any(note.startswith("? ") for note in table.notes) == bool(mark)


def test_models_with_other_languages_are_apart_and_without_selectivity_it_is_an_error(tmp_path):
    write_sweep(tmp_path / "a")
    write_sweep(tmp_path / "b", model="org/other", languages=("en", "de"))
    assert [len(table.rows) for table in board(tmp_path)] == [1, 1]
    with pytest.raises(LsnError, match="a leaderboard needs conditions LANGUAGE:WHAT and none"):
        board(tmp_path / "a" / "none")


# --- formats

HOSTILE = "a_b%c&d#e{f}g~h^i\\j<k>l$m|n`o*p[q]r\"s't\n\x1b[31m语言–é"


def hostile_table() -> Table:
    return Table(
        HOSTILE, ("condition", HOSTILE), ((Cell(HOSTILE), Cell("1.0", 1.0, "undecided", HOSTILE)),),
        notes=(HOSTILE,), signatures=(HOSTILE,),
    )  # fmt: skip


def test_latex_escapes_what_means_something_to_it():
    text = latex([hostile_table()], [HOSTILE])
    escaped = (
        r"a\_b\%c\&d\#e\{f\}g\textasciitilde{}h\textasciicircum{}i\textbackslash{}j\textless{}k"
        r"\textgreater{}l\$m\textbar{}n`o{*}p{[}q]r\"s't"
    ).replace('\\"', '"')
    assert text.count(escaped) == 5
    assert "语言–é" in text
    assert "\x1b" not in text
    assert rf"\noindent\textbf{{Warning:}} {escaped}" in text
    lines = text.splitlines()
    assert lines.count(r"\toprule") == lines.count(r"\midrule") == lines.count(r"\bottomrule") == 1
    row = next(line for line in lines if line.endswith(r"1.0$^{\sim}$ \\"))
    assert row.count("&") - row.count(r"\&") == 1
    # Nothing but the comments holds a bare special character.
    for line in lines:
        if not line.startswith("%"):
            bare = re.sub(r"\\[_%&#{}$]", "", line)
            assert not re.search(r"[%#]", bare)
            assert bare.count("{") == bare.count("}")
    # A row does not start with what the end of the one above it would read.
    table = Table("t", ("a", "b"), ((Cell("[1]"), Cell("*")),))
    assert r"{[}1] & {*} \\" in latex([table], [])


def test_markdown_and_the_terminal_escape_every_part_of_a_table():
    text = markdown([hostile_table()], [HOSTILE])
    assert text.count(markdown_text(HOSTILE)) == 5
    starts = ["**Warning:**", "**a\\_b", "| condition", "- a\\_b", "Measured with", "    a_b"]
    assert [a.startswith(b) for a, b in zip(text.split("\n\n"), starts, strict=True)] == [True] * 6
    assert [line for line in text.splitlines() if line.startswith("    ")] == ["    " + one_line(HOSTILE)]  # fmt: skip
    text = terminal([hostile_table()], [HOSTILE])
    assert "\x1b" not in text
    assert len(text.splitlines()) == 10


@pytest.mark.parametrize("name", ["terminal", "markdown", "latex"])
def test_every_format_shows_warnings_notes_marks_and_signatures(tmp_path, name):
    tasks = {"a_de": {"acc": [1, 0]}}
    two_runs(tmp_path, tasks, tasks, unchanged=["mlp.act/0"])
    comparison = compared(tmp_path)
    text = render([change_table(comparison.panels[0], DRAWS)], name, comparison.notes)
    for shown in ("likely no-op", "was there already", "0.000=", "condition:de:zero"):
        assert shown in text


def test_csv_and_json_hold_every_number_once_with_warnings(tmp_path):
    data = write_sweep(tmp_path / "a")
    write_sweep(tmp_path / "b", conditions=["de:zero"], digest="f" * 64, effect=0.0)
    tasks = {f"ppl_{x}": {"token_perplexity": data["none", x]} for x in LANGUAGES}
    write_run(tmp_path / "c", "nl:zero", tasks, unchanged=["mlp.act/0"])
    comparison = compared(tmp_path)
    rows = csv_rows(comparison)
    assert len(rows) == len(comparison.to_frame()) == 3 * (10 + 1 + 1)
    keys = {(row["condition"], row["mask"], row["task"]) for row in rows}
    assert len(keys) == len(rows)
    (panel, *_) = comparison.panels
    place = ("de:zero", "de", "3")
    (found,) = (r for r in rows if (r["condition"], r["language"], r["mask"][7:8]) == place)
    change = panel.change("de:zero", "de")
    assert float(found["shift"]) == change.shift
    assert (float(found["low"]), float(found["high"])) == change.interval
    assert float(found["selectivity"]) == panel.selectivity["de:zero"].value
    assert found["controls"] == "2"
    dead = [row for row in rows if row["condition"] == "nl:zero"]
    assert all("likely no-op" in row["warnings"] and "was there" in row["warnings"] for row in dead)
    assert {row["mark"] for row in dead} == {"unchanged"}
    written = document(comparison)
    assert written["notes"] == [*comparison.notes, *comparison.remarks]
    assert written["test"] == {"resamples": 200, "permutations": 199, "seed": 0, "level": 0.95}
    assert written["panels"][0]["notes"] == list(panel.notes)
    assert written["panels"][0]["overall"]["zero"]["p"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("name", "written"),
    [*((x, f"'{x}") for x in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1")), *[('a,"b"\nc;d',) * 2]],
)
def test_a_spreadsheet_runs_nothing_that_a_results_file_says(tmp_path, name, written):
    write_run(tmp_path, "none", {"t_de": {"loss": [-1.5, -2.5]}}, model=name)
    comparison = compared(tmp_path)
    (row,) = csv_rows(comparison)
    assert (row["model"], row["value"], row["task"]) == (written, "-2.0", "t_de")
    assert document(comparison)["numbers"][0]["model"] == name
