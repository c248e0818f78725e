"""A leaderboard as a page: whose numbers stand beside each other, and why others do not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from builders.commands import printed, refused
from builders.report_results import Outline, report, revised, submit

HOSTILE = "<script>pwned=1</script>\" onmouseover='pwned=2' \u202e{{7*7}}</style>"


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """Two who measured the same, one with another revision of the data, and a damaged file."""
    folder = tmp_path_factory.mktemp("people")
    submit(folder / "anna", "org/anna")
    submit(folder / "ben", HOSTILE)
    submit(folder / "carl", "org/carl", revised)
    (folder / "dora").mkdir()
    (folder / "dora" / "results_1.json").write_text("{")
    return folder


def rows(page: str, table: str = "numbers") -> list[list[str]]:
    """Cells of a table of the page."""
    inside = re.search(rf'<table class="sortable" id="{table}">(.*?)</table>', page, re.S)[1]
    body = re.search("<tbody>(.*?)</tbody>", inside, re.S)[1]
    found = re.findall(r"<tr.*?</tr>", body, re.S)
    return [
        [Outline(cell).text for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)]
        for row in found
    ]


def test_comparable_numbers_stand_together_and_others_are_refused_by_name(people):
    page = report(people, by="model")
    found = rows(page)
    text = Outline(page).text
    assert {row[0] for row in found} - {"org/anna"} == {found[-1][0]}
    assert "org/carl" not in page
    assert "measured with another task definition" in text
    for condition in ("none", "de_zero", "random1-de_zero"):
        assert re.search(rf"carl/{condition}/results_\S+ \(ask_de: task definition \w+ and", text)
    assert "dora/results_1.json cannot be read as JSON" in text
    assert str(people) not in page
    assert [row[0] for row in rows(page, "board-1")] == ["org/anna", found[-1][0]]


def test_every_row_has_interval_controls_and_signature(people):
    page = report(people, by="model")
    for row in rows(page):
        assert row[-1].startswith(f"model:{row[0].partition(' ')[0]}")
        assert f"condition:{row[2]}|" in row[-1]
    row = next(r for r in rows(page) if r[:6:2] == ["org/anna", "de:zero", "ask_*"][:3])
    assert row[3] == "de"
    start, value, change, interval, controls, rank = row[6:12]
    assert (start, value, change) == ("1.00", "0.250", "-0.750")
    assert re.fullmatch(r"\[-\d\.\d+, -0\.\d+\]", interval)
    assert controls == "0.000 to 0.000 (2)"
    assert float(rank) == pytest.approx(1 / 3, abs=0.01)
    assert not any(row[2].startswith("random") for row in rows(page)), "beside what they are of"


def test_names_are_text(people):
    page = report(people, by="model")
    assert Outline(page).count("script") == 1
    assert HOSTILE not in page
    assert "onmouseover=&#39;pwned" in page
    assert "\u202e" not in page
    attributes = {name for _, given in Outline(page).elements for name in given}
    assert {
        "data-model",
        "data-condition",
        "data-language",
        "data-task",
        "data-metric",
    } <= attributes
    assert not any(name.startswith("on") for name in attributes)


def test_most_models_say_what_is_measured_with_and_a_setting_may_be_allowed(tmp_path):
    submit(tmp_path / "a", "org/first", revised)
    for name in ("b", "c"):
        submit(tmp_path / name, f"org/{name}")
    assert {row[0] for row in rows(report(tmp_path, by="model"))} == {"org/b", "org/c"}
    page = report(tmp_path, by="model", allow=("task definition",))
    assert {row[0] for row in rows(page)} == {"org/first", "org/b", "org/c"}
    assert len(rows(page, "board-1")) == 3
    assert "Refused:" not in Outline(page).text
    settings = dict(rows(report(tmp_path, by="model"), "settings"))
    assert "task definition" in settings["ask_de"]
    assert "parameters" not in settings["ask_de"], "which belong to a model"


def test_engines_are_not_mixed(tmp_path):
    submit(tmp_path / "a", "org/a")
    submit(tmp_path / "b", "org/b", lambda document: document["config"].update(model="vllm"))
    text = Outline(report(tmp_path, by="model")).text
    assert "measured with another backend" in text
    assert "backend hf and vllm" in text


def test_the_command_writes_it_and_says_what_was_refused(people, tmp_path):
    said = printed(
        "report", people, "--by", "model", "--metric", "accuracy", "--out", tmp_path / "b.html"
    )
    assert "Refused: measured with another task definition" in said
    assert "10 files" in said
    assert {row[5] for row in rows((tmp_path / "b.html").read_text())} == {"accuracy"}
    for words, message in [
        (("--by", "person"), "condition or model was expected"),
        (("--by", "model", "--all-controls"), "leave out --samples and --all-controls"),
        (("--by", "model", "--samples", 3), "leave out --samples and --all-controls"),
    ]:
        assert message in refused("report", people, *words, "--out", tmp_path / "c.html")
