"""`lsn-eval report`: what is in the page, and that nothing in the data can harm it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import steering
from builders.report_results import (
    CHINESE,
    ENGLISH,
    GERMAN,
    Outline,
    report,
    run,
    sample,
    write_run,
)  # fmt: skip
from builders.results_files import edited

from lsn_eval.comparing import answer_languages
from lsn_eval.masks.files import find_mask
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.reporting import ReportError
from lsn_eval.reporting import report as write_report
from lsn_eval.reporting.rendering import sort_value
from lsn_eval.tables import Cell

HOSTILE = (
    "<script>window.pwned=1</script><img src=x onerror=alert(1)></script><!-- </style> "
    '"\' onmouseover="alert(1) javascript:alert(1) &lt; {{ 7*7 }} {% raw %} \x00\x07\x1b[31m\x85 '
    "\u202eevil\u202c \u2067rtl ]]> end"
)


# What it says


def test_the_sections_come_in_order_and_the_first_metric_and_its_heat_map_first(page, outline):
    assert re.findall(r'<section id="(\w+)"', page) == [
        "verdict", "metrics", "answers", "runs", "signatures", "commands",
    ]  # fmt: skip
    first = outline.text.split("Verdict ")[-1]
    assert first.startswith(
        "2 of 2 conditions changed their own language most in accuracy of ask_*: selectivity"
    )
    places = ['class="headline"', "<img", 'class="telling"', 'class="verdicts"', "<table"]
    assert sorted(places, key=page.index) == places
    assert "token_perplexity of read_* 2 of 2 conditions" in outline.text
    assert "What the numbers come to, metric by metric" in outline.text


def test_cells_of_the_own_language_are_marked_in_tables(page):
    rows = page.split('id="panel-2-1"')[1].split("<tbody>")[1].split("<tr")[1:4]
    marked = [re.findall(r'class="number( own)?"', row) for row in rows]
    assert marked == [[" own", "", ""], ["", ""], ["", " own", ""]]


DEMO = NeuronMask.load("demo/planted").digest


def alts(page: str) -> list[str]:
    return [attributes["alt"] for tag, attributes in Outline(page).elements if tag == "img"]


@pytest.mark.slow
def test_doses_and_the_layers_of_the_mask_are_drawn(tmp_path):
    mask = tmp_path / "m.safetensors"
    shutil.copy(find_mask("demo/planted"), mask)
    for condition, value in (("none", 5.0), ("de:x0.5", 6.0), ("de:zero", 9.0)):
        path = write_run(
            tmp_path / condition, condition, perplexities={"de": value},
            model_args={"mask": str(mask)},
        )  # fmt: skip
        edited(path, lambda d: d["config"]["lsn"]["mask"].update(digest=DEMO))
    drawn = ["change of token_perplexity", "Dose curves", "Neurons of each language"]
    page = report(tmp_path)
    assert [next(filter(alt.__contains__, drawn)) for alt in alts(page)] == drawn
    mask.unlink()
    page = report(tmp_path)
    assert len(alts(page)) == 2
    assert f"no mask with this digest is at {mask}" in Outline(page).text
    shutil.copy(find_mask("demo/planted"), mask)
    edited(path, lambda d: d["config"]["lsn"]["mask"].update(digest="ab" * 32))
    assert "no mask with this digest" in report(tmp_path)  # the other files' is there


@pytest.mark.slow
def test_of_doses_it_is_drawn_which_language_takes_over(tmp_path, monkeypatch):
    found = steering.StandIn("stand-in", None)
    monkeypatch.setattr(answer_languages, "load_identifier", lambda lid=None: found)
    steering.write(tmp_path / "doses", ("none", "es:x0.5", "es:zero"))
    (alt,) = (alt for alt in alts(report(tmp_path / "doses")) if "by dose" in alt)
    assert alt.startswith("Languages of the answers by dose: lsn_language_accuracy of ask_*")
    steering.write(tmp_path / "one", ("none", "es:zero"))
    assert not any("by dose" in alt for alt in alts(report(tmp_path / "one")))


def test_what_was_run(outline):
    for told in (
        "small", "llama", "1,000", "float32", "ab" * 32, "lape", "de, zh", "mlp.act: 2 layers",
        "1,234", "1,200", "generate_until", "0/1234/1234/1234", "0.4.13", "2023-11-14 22:13 UTC",
        '"max_gen_toks": 32', "layer 0 3, layer 1 4",
    ):  # fmt: skip
        assert told in outline.text, told


# Tables


def test_numbers_are_sorted_by_what_they_are():
    values = (0.1 + 0.2, math.inf, math.nan, None)
    found = [sort_value(Cell("+1.0", value)) for value in values]
    assert found == ["0.30000000000000004", "Infinity", None, None]


def test_tables_and_figures_have_words_in_the_page(outline, page):
    assert outline.count("caption") == outline.count("table") > 5
    scopes = {attributes.get("scope") for tag, attributes in outline.elements if tag == "th"}
    assert scopes == {"col", "row"}
    assert "10.00 after 5.00" in outline.text
    assert outline.count("h1") == 1
    # The text of a detail is in the page itself, not in an attribute that only a mouse reaches.
    assert not re.search(r'title="[^"]*after', page)


@pytest.mark.slow
def test_controls_are_collapsed_and_can_be_shown(sweep, outline):
    assert re.search(r"\b2 controls\b", outline.text)
    assert "1 further control left out" in outline.text
    everything = Outline(report(sweep, all_controls=True)).text
    assert "1 further control left out" not in everything
    assert everything.count("random2-de:zero") > outline.text.count("random2-de:zero")
    images = [attributes for tag, attributes in outline.elements if tag == "img"]
    assert len(images) == 2
    for attributes in images:
        assert attributes["src"].startswith("data:image/svg+xml")
        assert "%3Csvg" in attributes["src"]
        assert "-own%22" in attributes["src"]  # the frame of the condition's own language
        assert "2 of 2 conditions" in attributes["alt"]
    assert outline.count("figcaption") == len(images)


# Safety


def hostile_run(folder: Path) -> Path:
    logged = [sample(0, HOSTILE, GERMAN, 1.0, HOSTILE)]
    write_run(folder / "a", "none", {"de": logged}, device=HOSTILE)
    answered = {"de": [sample(0, HOSTILE, HOSTILE + ENGLISH, 0.0)]}
    write_run(folder / "c", "zh:mean", answered)  # beside the baseline, which "b" has not
    path = write_run(folder / "b", "de:zero", answered)

    def edit(document):
        record = document["config"]["lsn"]
        record["mask"]["name"] = record["model"]["name"] = HOSTILE
        record["seen"]["unchanged"] = [HOSTILE]
        document["system_instruction"] = HOSTILE

    edited(path, edit)
    return folder


def test_nothing_in_the_data_becomes_an_element_or_acts_on_others(tmp_path):
    page = report(hostile_run(tmp_path))
    outline = Outline(page)
    assert outline.count("script") == outline.count("style") == 1
    assert all(
        attributes.get("src", "data:").startswith("data:") for _, attributes in outline.elements
    )
    names = {name for _, attributes in outline.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")}
    assert page.count("<!--") == 0
    assert "{{ 7*7 }}" in outline.text
    assert "<script>window.pwned=1</script>" in outline.text
    links = {attributes["href"] for tag, attributes in outline.elements if tag == "a"}
    assert all(link.startswith("#") for link in links)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page
    )
    assert "␀␇␛" in page
    assert "⟦U+202E⟧evil" in page


def test_the_policy_allows_this_script_and_style_alone_and_nothing_is_fetched(page):
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1])
    rules = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag in ("script", "style"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in policy
    assert not re.search(r'\bstyle="', page)
    assert not re.search(r"http:|url\(", re.sub(r'src="data:[^"]*"', "", page))


@pytest.mark.parametrize("odd", [[1], {"a": [1]}, "x", 1e300, True, None], ids=str)
def test_odd_values_are_shown_and_break_nothing(tmp_path, odd):
    write_run(tmp_path / "a", "none", {"de": [sample(0, "p", GERMAN, 1.0)]})
    path = write_run(
        tmp_path / "b", "de:zero", {"de": [sample(0, "p", ENGLISH, 0.0)]},
        model_num_parameters=odd, model_revision=odd, limit=odd, gen_kwargs=odd, random_seed=odd,
        batch_size=odd,
    )  # fmt: skip

    def edit(document):
        document["n-shot"]["ask_de"] = document["system_instruction"] = odd
        document["n-samples"]["ask_de"] = {"original": odd, "effective": odd}
        document["config"]["lsn"]["seen"]["empty"] = odd
        document["date"] = 1e300

    edited(path, edit)
    text = Outline(report(tmp_path)).text
    assert "de:zero" in text
    assert odd is None or json.dumps(odd).strip('"') in text.replace("True", "true")


# The file


@pytest.mark.slow
def test_another_process_writes_the_same_without_torch_and_lm_eval(sweep, page, tmp_path):
    code = (  # with another hash seed
        "import sys; from lsn_eval.reporting import report\n"
        "assert 'jinja2' not in sys.modules and 'matplotlib' not in sys.modules\n"
        "report(sys.argv[1], sys.argv[2])\n"
        "heavy = {'torch', 'lm_eval', 'transformers', 'datasets'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(sweep), str(tmp_path / "r.html")], check=True)
    assert (tmp_path / "r.html").read_text("utf-8") == page
    assert f"lsn-eval report {sweep} --out report.html" in page


@pytest.mark.slow
def test_a_thousand_files_fit(tmp_path):
    conditions = ["none", "de:zero", "zh:zero"]
    conditions += [f"random{n}-{code}:zero" for n in range(1, 499) for code in ("de", "zh")]
    for number, condition in enumerate(conditions):
        write_run(
            tmp_path / str(number), condition,
            {"de": [sample(0, "p", GERMAN, 1.0)], "zh": [sample(0, "p", CHINESE, 1.0)]},
            perplexities={"de": 5.0 + (condition == "de:zero"), "zh": 8.0},
        )  # fmt: skip
    page = report(tmp_path)
    assert len(page) < 3_000_000
    assert "498 controls" in page
    assert re.search(r"799 further commands left out", page)
    assert "994 further controls left out" in page


@pytest.mark.slow
def test_long_tables_are_cut_and_counted(tmp_path):
    for number in range(300):
        condition = "none" if number == 0 else f"de:x0.{number:03}"
        answers = {"de": [sample(0, "p", GERMAN, 1.0)]} if number < 30 else None
        write_run(tmp_path / str(number), condition, answers, perplexities={"de": 5.0 + number})
    page = report(tmp_path)
    assert "6 further conditions left out" in page
    assert page.count("50 further rows left out") == 3
    assert page.count("49 further rows left out") == 1  # the baseline has no own language
    assert page.count('<th scope="row">') < 1150  # four tables of 250, and short ones
    assert "1 further panel not drawn" in page
    assert len(page) < 1_500_000


# The command


@pytest.mark.slow
def test_the_command_writes_and_says_what_and_prints_warnings(sweep, tmp_path):
    result = run(sweep, "--out", tmp_path / "r.html", "--samples", 2)
    assert result.exit_code == 0, result.output
    assert (
        "token_perplexity of read_*: 2 of 2 conditions changed their own language most; "
        in result.output
    )
    assert "5 files, 2 panels" in result.output
    assert (tmp_path / "r.html").stat().st_size > 10_000
    write_run(tmp_path / "a", "none", perplexities={"de": 5.0})
    write_run(tmp_path / "b", "de:zero", perplexities={"de": 5.0})
    assert "Likely no-op: " in run(tmp_path, "--out", tmp_path / "r.html").output


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "missing", "does not exist"),
        (lambda folder: folder, "holds no results"),
        (lambda folder: written(folder / "x.json", "{"), "cannot be read as JSON"),
        (lambda folder: written(folder / "x.json", '{"results": {}}'), "has no 'configs'"),
        (lambda folder: write_run(folder, "none", perplexities={"de": math.nan}), "none can be"),
    ],
)
def test_unusable_input_is_one_message_and_no_file(tmp_path, make, said):
    data = tmp_path / "data"
    data.mkdir()
    result = run(make(data), "--out", tmp_path / "r.html")
    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("nowhere/r.html", "does not exist"),
        ("data", "is a folder"),
        ("a_file/deeper/r.html", "a_file is a file, and a folder was expected"),
        ("r.pdf", "a report is HTML; give a name that ends in .html, e.g. .*r.html"),
        ("r.html.gz", "ends in .gz"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path, out, said):
    write_run(tmp_path / "data", "none", perplexities={"de": 5.0})
    (tmp_path / "a_file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ReportError, match=said):
        write_report([tmp_path / "data"], tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before


def test_names_of_pages_are_taken_but_for_those_of_results(tmp_path):
    path = write_run(tmp_path, "none", perplexities={"de": 5.0})
    (tmp_path / "link.html").symlink_to(path)
    before = path.read_bytes()
    for name in ("r.htm", "R.HTML", "r"):
        write_report([path], tmp_path / name)
        assert (tmp_path / name).read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(ReportError, match="one of the results files"):
        write_report([path], tmp_path / "link.html")
    assert path.read_bytes() == before


def test_an_older_page_stays_when_a_new_one_fails(tmp_path, monkeypatch):
    """Also when the new file is open already: what cannot be written as bytes fails then."""
    write_run(tmp_path / "data", "none", perplexities={"de": 5.0})
    out = tmp_path / "r.html"
    out.write_text("older")
    monkeypatch.setattr("lsn_eval.reporting.page.rendered", lambda _: "no bytes")
    with pytest.raises(TypeError):
        write_report([tmp_path / "data"], out)
    assert out.read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "r.html"]


def test_settings_may_be_allowed_to_differ(tmp_path):
    write_run(tmp_path / "a", "none", perplexities={"de": 5.0}, model_revision="one")
    write_run(tmp_path / "b", "de:zero", perplexities={"de": 6.0}, model_revision="two")
    assert "Comparison refused" in report(tmp_path)
    assert "Comparison refused" not in report(tmp_path, allow=("model revision",))


def test_tasks_and_metrics_can_be_chosen(sweep, tmp_path):
    result = run(sweep, "--task", "read_*", "--metric", "token_perplexity", "--out", tmp_path / "r")
    assert "5 files, 1 panel" in result.output
    text = (tmp_path / "r").read_text()
    assert "ask_de" not in Outline(text).text.split("Signatures")[1].split("Commands")[0]
    assert "--task 'read_*' --metric token_perplexity" in html.unescape(text)
    result = run(sweep, "--metric", "bleu", "--out", tmp_path / "x")
    assert result.exit_code == 2
    assert "--metric bleu: no such metric in the results; there are accuracy" in result.output


def test_several_models_are_set_beside_each_other(tmp_path):
    for model in ("one", "two"):
        for condition, values in (("none", (5.0, 8.0)), ("de:zero", (9.0, 8.1))):
            perplexities = dict(zip(("de", "zh"), values, strict=True))
            path = write_run(tmp_path / f"{model}{condition}", condition, perplexities=perplexities)
            edited(path, lambda d, name=model: d["config"]["lsn"]["model"].update(name=name))
    assert "one" in report(tmp_path).split('id="board-1"')[1]


def test_a_page_of_steering_alone_opens_with_its_pairs(tmp_path, monkeypatch):
    found = steering.StandIn("stand-in", None)
    monkeypatch.setattr(answer_languages, "load_identifier", lambda lid=None: found)
    steering.write(tmp_path, ("none", "es:zero/zh:mean", "random1-es:zero/random1-zh:mean"))
    text = Outline(report(tmp_path)).text
    assert "1 of 1 pairs of languages steered to zh in lsn_target_accuracy_zh of ask_*" in text
    assert "Languages of the answers" in text
    assert "changed their own language most in" not in text
