"""`lsn-eval report`: what is in the page, and that nothing in the data can harm it."""

from __future__ import annotations

import html
import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from builders.report_results import CHINESE, ENGLISH, GERMAN, sample, write_run, write_sweep
from typer.testing import CliRunner

from lsn_eval.cli import app
from lsn_eval.comparing import compare
from lsn_eval.errors import LsnError
from lsn_eval.reporting import ReportError, ReportOptions, write_report
from lsn_eval.reporting.plain_text import plain_text
from lsn_eval.reporting.rendering import MARKS, sort_value
from lsn_eval.reporting.reproduction import evaluation_command, sweep_command
from lsn_eval.reporting.verdict import verdict
from lsn_eval.results import read_results, read_runs
from lsn_eval.tables import Cell
from lsn_eval.tables.table import SIGNS

HOSTILE = (
    "<script>window.pwned=1</script><img src=x onerror=alert(1)></script><!-- </style> "
    '"\' onmouseover="alert(1) javascript:alert(1) &lt; {{ 7*7 }} {% raw %} \x00\x07\x1b[31m\x85 '
    "\u202eevil\u202c \u2067rtl ]]> \ud800 end"
)


class Outline(HTMLParser):
    """Elements of a page with their attributes, and the text without scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def report(folder: Path, **options) -> str:
    out = folder / "report.html"
    write_report([folder], out, ReportOptions(**options))
    return out.read_text("utf-8")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def page(sweep) -> str:
    return report(sweep)


@pytest.fixture(scope="module")
def outline(page) -> Outline:
    return Outline(page)


# What it says


def test_the_sections_come_in_order(page):
    assert re.findall(r'<section id="(\w+)"', page) == [
        "verdict", "runs", "tables", "figures", "answers", "signatures", "commands",
    ]  # fmt: skip


def test_the_verdict_counts_what_the_numbers_say(sweep):
    comparison = compare(read_results([sweep]))
    found = verdict(comparison)
    assert found.headline.startswith("In accuracy and token_perplexity, a condition")
    assert "its own language more than any other in 4 of 4 cases" in found.headline
    assert (
        "more than every random control in 2 of 2 "
        "(2 controls each: the least rank p that they can show is 0.33)."
    ) in found.headline
    assert found.headline.endswith("2 of the 4 have no interval.")
    told = dict(found.panels)
    perplexity = next(" ".join(told[title]) for title in told if "token_perplexity" in title)
    assert "Own language: +100.0 % (2 conditions)." in perplexity
    assert "No other language changes." in perplexity
    assert "+1.0 % (2); rank p 0.33; 0.33 is the least that 2 controls" in perplexity


def test_the_verdict_counts_each_task_once(sweep):
    comparison = compare(read_results([sweep]))
    further = [replace(panel, metric=f"other_{panel.metric}") for panel in comparison.panels]
    both = replace(comparison, panels=(*comparison.panels, *further))
    assert verdict(both).headline == verdict(comparison).headline
    assert len(verdict(both).panels) == 4


def test_a_larger_change_elsewhere_is_not_counted(tmp_path):
    write_run(tmp_path / "a", "none", perplexities={"de": 5.0, "zh": 8.0})
    write_run(tmp_path / "b", "de:zero", perplexities={"de": 5.5, "zh": 16.0})
    found = verdict(compare(read_results([tmp_path])))
    assert "in 0 of 1 case;" in found.headline
    assert "no random controls were evaluated" in found.headline
    assert "Largest change elsewhere: +100.0 % (zh under de:zero)." in " ".join(found.panels[0][1])


def test_only_a_baseline_is_said_to_be_one(tmp_path):
    write_run(tmp_path, "none", perplexities={"de": 5.0})
    assert "nothing to compare" in report(tmp_path)


def test_what_was_run(outline):
    for told in (
        "small", "llama", "1,000", "float32", "ab" * 32, "lape", "de, zh", "mlp.act: 2 layers",
        "1,234", "1,200", "generate_until", "0/1234/1234/1234", "0.4.13", "2023-11-14 22:13 UTC",
        '"max_gen_toks": 32', "layer 0 3, layer 1 4",
    ):  # fmt: skip
        assert told in outline.text, told


def test_no_warning_where_there_is_none(tmp_path):
    for condition, answer, right in (("none", GERMAN, 1.0), ("de:zero", ENGLISH, 0.0)):
        logged = [sample(n, "p", answer, right if n else 1.0) for n in range(30)]
        write_run(tmp_path / condition, condition, {"de": logged})
    page = report(tmp_path)
    assert "No warnings" in page
    assert 'id="cautions"' not in page


def test_what_a_panel_says_of_itself_is_a_warning(outline):
    assert "intervals of 8 documents are too short" in outline.text.split("What was run")[1]


def test_warnings_stand_above_the_numbers(tmp_path):
    write_run(tmp_path / "a", "none", perplexities={"de": 5.0, "zh": 8.0})
    write_run(
        tmp_path / "b", "de:zero", perplexities={"de": 5.0, "zh": 8.0}, unchanged=["mlp.act/1"]
    )
    write_run(tmp_path / "c", "zh:zero", perplexities={"de": 5.1, "zh": 9.0}, model_dtype="bf16")
    write_run(tmp_path / "d", "zh:mean", perplexities={"de": 5.1, "zh": 9.0})
    page = report(tmp_path)
    text = Outline(page).text
    assert "Likely no-op: de:zero" in text
    assert re.search(r"Unchanged sites: .{,200}de:zero: mlp.act/1", text)
    assert re.search(r"Comparison refused: 2 numbers without a change: not comparable with", text)
    assert page.index('id="cautions"') < page.index('id="runs"')
    assert re.search(r'class="flag" href="#cautions">\d warnings below', page)


def test_hooks_that_changed_nothing_are_warned_of(tmp_path):
    write_run(tmp_path / "a", "none", perplexities={"de": 5.0})
    path = write_run(tmp_path / "b", "de:zero", perplexities={"de": 5.1})
    document = json.loads(path.read_text())
    document["config"]["lsn"]["seen"]["hookpoints"]["mlp.act"]["values_changed"] = 0
    path.write_text(json.dumps(document))
    assert "Nothing was changed:" in Outline(report(tmp_path)).text


def test_many_places_of_a_warning_are_counted(tmp_path):
    codes = [f"x{number:02}" for number in range(30)]
    write_run(tmp_path / "a", "none", perplexities=dict.fromkeys(codes, 5.0), model_dtype="bf16")
    write_run(tmp_path / "b", "de:zero", perplexities=dict.fromkeys(codes, 6.0))
    text = Outline(report(tmp_path)).text
    assert "30 numbers without a change" in text
    assert "and 18 more" in text


def test_failed_conditions_of_a_sweep_are_told(sweep, tmp_path):
    out = tmp_path / "out"
    write_run(out / "none" / "small", "none", perplexities={"de": 5.0})
    (out / "sweep.json").write_text(json.dumps({"arguments": SWEEP}))
    (out / "de_zero").mkdir()
    failed = {"condition": "de:zero", "error": "X", "reason": "out of memory"}
    (out / "de_zero" / "failed.json").write_text(json.dumps(failed))
    assert "de:zero: out of memory" in Outline(report(out)).text


# Tables


def test_numbers_are_sorted_by_what_they_are():
    assert sort_value(Cell("+1.0", 0.1 + 0.2)) == "0.30000000000000004"
    assert sort_value(Cell("x", float("inf"))) == "Infinity"
    assert sort_value(Cell("x", float("nan"))) is None
    assert sort_value(Cell("words")) is None


def test_tables_have_captions_heads_and_details_in_the_page(outline, page):
    assert outline.count("caption") == outline.count("table") > 5
    scopes = {attributes.get("scope") for tag, attributes in outline.elements if tag == "th"}
    assert scopes == {"col", "row"}
    assert "10.00 after 5.00" in outline.text
    assert outline.count("h1") == 1
    # The text of a detail is in the page itself, not in an attribute that only a mouse reaches.
    assert not re.search(r'title="[^"]*after', page)


def test_controls_are_collapsed_and_can_be_shown(sweep, outline):
    rows = re.compile(r"\b2 controls\b")
    assert rows.search(outline.text)
    assert "Answers side by side" in outline.text
    assert "1 further control is left out" in outline.text
    everything = Outline(report(sweep, all_controls=True)).text
    assert "1 further control is left out" not in everything
    assert everything.count("random2-de:zero") > outline.text.count("random2-de:zero")


# Figures


def test_figures_are_images_in_the_page_with_words(outline):
    images = [attributes for tag, attributes in outline.elements if tag == "img"]
    assert len(images) == 4
    for attributes in images:
        assert attributes["src"].startswith("data:image/svg+xml")
        assert "%3Csvg" in attributes["src"]
        assert len(attributes["alt"]) > 40
    assert outline.count("figcaption") == len(images)


# Answers


def test_answers_have_their_language_and_differing_ones_are_marked(page):
    articles = page.split("<article")[1:]
    assert len(articles) == 2 * 5
    first = articles[0]
    cards = re.findall(r'<li class="(answer[^"]*)">(.*?)</li>', first, flags=re.DOTALL)
    assert [classes for classes, _ in cards] == [
        "answer", "answer differs", "answer", "answer",
    ]  # fmt: skip
    assert re.search(r'class="lid other">en [01]\.\d\d, not de<', cards[1][1])
    assert re.search(r'class="lid">de [01]\.\d\d<', cards[0][1])
    assert f'dir="auto" lang="en">{ENGLISH}' in cards[1][1]
    assert f'lang="zh">{CHINESE}' in page
    assert "The first 5 of 8 documents." in page


def test_a_translation_is_expected_in_its_target_language(tmp_path):
    path = write_run(tmp_path, "none", {"de": [sample(0, GERMAN, ENGLISH, 1.0)]})
    document = json.loads(path.read_text())
    document["configs"]["ask_de"]["dataset_kwargs"] = {"source": "de", "target": "en"}
    path.write_text(json.dumps(document))
    page = report(tmp_path)
    assert "answer differs" not in page
    assert f'dir="auto" lang="de">{GERMAN}' in page


def test_the_first_documents_are_chosen_whatever_the_order_of_the_file(tmp_path):
    def logged(answer):
        return [sample(n, f"prompt {n}", f"{answer} {n}", 1.0) for n in (7, 3, 9, 0, 5)]

    write_run(tmp_path / "a", "none", {"de": logged(GERMAN)})
    write_run(tmp_path / "b", "de:zero", {"de": logged(ENGLISH)})
    text = Outline(report(tmp_path, samples=2)).text
    assert re.findall(r"Document (\d)", text) == ["0", "3"]
    assert f"{ENGLISH} 3" in text
    assert f"{ENGLISH} 5" not in text


def test_a_document_that_a_condition_lacks_is_said_to_be_missing(tmp_path):
    def logged(numbers):
        return [sample(n, "prompt", GERMAN, 1.0) for n in numbers]

    write_run(tmp_path / "a", "none", {"de": logged([0, 1])})
    write_run(tmp_path / "b", "de:zero", {"de": logged([1])})
    assert Outline(report(tmp_path)).text.count("not evaluated on this document") == 1


def test_long_answers_fold_and_very_long_ones_end(tmp_path):
    write_run(tmp_path / "a", "none", {"de": [sample(0, "p", "wort " * 2000, 1.0)]})
    page = report(tmp_path)
    assert "all 10000 characters" in page
    assert "6000 further characters are in the samples file" in page


def test_empty_several_and_filtered_answers(tmp_path):
    empty, several = sample(0, "p", " \n", 1.0), sample(1, "p", GERMAN, 1.0)
    several["resps"] = [[GERMAN, ENGLISH, ENGLISH]]
    several["filtered_resps"] = ["42"]
    write_run(tmp_path, "none", {"de": [empty, several]})
    page = report(tmp_path)
    text = Outline(page).text
    assert "empty answer" in text
    assert "and 2 further answers" in text
    assert re.search(r"Scored\s*42", text)


def test_without_samples_the_page_says_so(tmp_path):
    write_run(tmp_path, "none", {"de": [sample(0, "p", GERMAN, 1.0)]}, samples=False)
    page = report(tmp_path)
    assert "Without logged samples (--log_samples): ask_de." in page
    assert "neither intervals nor tests" in page


def test_samples_that_cannot_be_read_are_named(tmp_path):
    path = write_run(tmp_path, "none", {"de": [sample(0, "p", GERMAN, 1.0)]})
    path.with_name("samples_ask_de_2026-01-01.jsonl").write_text('{"doc_id": ')
    assert "cannot be read" in Outline(report(tmp_path)).text


def test_the_number_of_documents_can_be_chosen(sweep, tmp_path):
    assert report(sweep, samples=1).count("<article") == 2
    none = report(sweep, samples=0)
    assert none.count("<article") == 0
    assert "--samples 0" in none


# Safety


def hostile_run(folder: Path) -> Path:
    logged = [sample(0, HOSTILE, HOSTILE, 1.0, HOSTILE)]
    write_run(folder / "a", "none", {"de": logged}, device=HOSTILE)
    path = write_run(folder / "b", "de:zero", {"de": [sample(0, HOSTILE, HOSTILE + ENGLISH, 0.0)]})
    document = json.loads(path.read_text())
    document["config"]["lsn"]["mask"]["name"] = HOSTILE
    document["config"]["lsn"]["model"]["name"] = HOSTILE
    document["config"]["lsn"]["seen"]["unchanged"] = [HOSTILE]
    document["system_instruction"] = HOSTILE
    path.write_text(json.dumps(document))
    return folder


def test_nothing_in_the_data_becomes_an_element(tmp_path):
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


def test_characters_that_act_on_others_are_shown(tmp_path):
    page = report(hostile_run(tmp_path))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202d\u202e\ud800-\udfff]", page)
    assert "␀␇␛" in page
    assert "⟦U+202E⟧evil" in page


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a\r\nb\rc\td", "a\nb\nc\td"),
        ("\x00\x1f\x7f", "␀␟␡"),
        ("\ud83d x \udc00", "\ufffd x \ufffd"),
        ("שלום\u200f عربي\u200c", "שלום\u200f عربي\u200c"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
    ],
)
def test_plain_text(given, expected):
    assert plain_text(given) == expected


def test_the_policy_allows_this_script_and_style_alone(page):
    import base64
    import hashlib

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


def test_nothing_is_fetched(page):
    without = page.replace("http://www.w3.org", "")
    assert "http:" not in re.sub(r'src="data:[^"]*"', "", without)
    assert "url(" not in re.sub(r'src="data:[^"]*"', "", without)


@pytest.mark.parametrize("odd", [[1], {"a": [1]}, "x", 1e300, True, None], ids=str)
def test_odd_values_are_shown_and_break_nothing(tmp_path, odd):
    write_run(tmp_path / "a", "none", {"de": [sample(0, "p", GERMAN, 1.0)]})
    path = write_run(
        tmp_path / "b", "de:zero", {"de": [sample(0, "p", ENGLISH, 0.0)]},
        model_num_parameters=odd, model_revision=odd, limit=odd, gen_kwargs=odd, random_seed=odd,
        batch_size=odd,
    )  # fmt: skip
    document = json.loads(path.read_text())
    document["n-shot"]["ask_de"] = odd
    document["n-samples"]["ask_de"] = {"original": odd, "effective": odd}
    document["system_instruction"] = odd
    document["config"]["lsn"]["seen"]["empty"] = odd
    document["date"] = 1e300
    path.write_text(json.dumps(document))
    text = Outline(report(tmp_path)).text
    assert "de:zero" in text
    assert odd is None or json.dumps(odd).strip('"') in text.replace("True", "true")


# Secrets


def test_no_secret_reaches_the_page(tmp_path):
    hidden = "s3cr3tvalue"
    model_args = {
        "pretrained": "small", "mask": "m.safetensors", "condition": "none", "token": hidden,
        "headers": {"authorization": hidden},
    }  # fmt: skip
    write_run(
        tmp_path / "a", "none", perplexities={"de": 5.0}, model_args=model_args,
        gen_kwargs={"api_key": hidden},
    )  # fmt: skip
    write_run(tmp_path / "b", "de:zero", perplexities={"de": 6.0},
              model_args=f"pretrained=small,token={hidden},condition=de:zero")  # fmt: skip
    out = tmp_path / "sweep"
    write_run(out / "none" / "small", "none", perplexities={"de": 5.0}, date=1.8e9)
    arguments = {
        **SWEEP, "metadata": {"openai_api_key": hidden}, "model_args": {**SWEEP["model_args"],
        "hub_token": hidden}, "gen_kwargs": {"secret": hidden},
    }  # fmt: skip
    (out / "sweep.json").write_text(json.dumps({"arguments": arguments}))
    page = report(tmp_path)
    assert hidden not in page
    assert "fill it in" in page


# Commands


SWEEP = {
    "apply_chat_template": False, "batch_size": "16", "device": "cpu", "gen_kwargs": {},
    "include_path": None, "limit": None, "mask_digest": "ab" * 32,
    "metadata": {"pretrained": "small", "mask": "m 1.safetensors", "data_root": "/data"},
    "model_args": {"pretrained": "small", "mask": "m 1.safetensors", "dtype": "float32"},
    "num_fewshot": None, "seed": [0, 1234, 1234, 1234], "system_instruction": None,
    "tasks": ["read_de", "ask_de"],
}  # fmt: skip


def runs_of(folder):
    return read_runs([folder])


def test_lm_eval_reads_the_command_back(tmp_path):
    from lm_eval._cli.harness import HarnessCLI

    model_args = {
        "pretrained": "org/a model", "mask": "m.safetensors", "condition": "en:zero/de:p90",
        "revision": "123", "trust_remote_code": True, "scale": 0.5, "chat": {"a": [1, "b'c"]},
    }  # fmt: skip
    write_run(
        tmp_path / "small", "en:zero/de:p90", {"de": [sample(0, "p", GERMAN, 1.0)]},
        model_args=model_args, gen_kwargs={"do_sample": True, "temperature": 0.7}, limit=3.0,
    )  # fmt: skip
    words = shlex.split(evaluation_command(runs_of(tmp_path)[0]))
    assert words[0] == "lm_eval"
    parsed = HarnessCLI()._parser.parse_args(["run", *words[1:]])
    assert parsed.model == "lsn_hf"
    assert parsed.model_args == model_args
    assert parsed.gen_kwargs == {"do_sample": True, "temperature": 0.7}
    assert parsed.tasks in (["ask_de"], "ask_de")
    assert (parsed.batch_size, parsed.device, parsed.limit) == ("4", "cpu", 3.0)
    assert parsed.seed == [0, 1234, 1234, 1234]
    assert parsed.num_fewshot == 0
    assert parsed.log_samples
    assert "--limit 3 " in shlex.join(words)
    assert parsed.output_path == f"{tmp_path}-again"


@pytest.mark.parametrize(
    "more",
    [
        {"pretrained": "a model"}, {"revision": "123"}, {"revision": "1e5"}, {"revision": "None"},
        {"revision": "nan"}, {"dtype": None}, {"x": ""}, {"x": "a=b"}, {"x": "a,b"}, {"x": "'q'"},
        {"x": "0x10"}, {"x": ["a"]}, {"x": False}, {"x": 1e-9}, {"condition": "de:x0.5/zh:+1.5"},
        {"x": "$(touch pwned); `x` \\ \""},
    ],
    ids=str,
)  # fmt: skip
def test_every_argument_is_read_back_as_it_was(tmp_path, more):
    from lm_eval._cli.harness import HarnessCLI

    model_args = {"pretrained": "small", "condition": "none", **more}
    write_run(tmp_path, "none", perplexities={"de": 5.0}, model_args=model_args)
    words = shlex.split(evaluation_command(runs_of(tmp_path)[0]))
    assert HarnessCLI()._parser.parse_args(["run", *words[1:]]).model_args == model_args


def test_simple_arguments_are_written_as_people_write_them(sweep):
    run = next(run for run in runs_of(sweep) if run.condition == "de:zero")
    assert "--model_args pretrained=small,mask=m.safetensors,condition=de:zero " in (
        evaluation_command(run)
    )


def test_groups_are_named_and_not_their_members(tmp_path):
    path = write_run(tmp_path, "none", perplexities={"de": 5.0, "zh": 6.0})
    document = json.loads(path.read_text())
    document["group_subtasks"] = {"read": ["read_de", "read_zh"]}
    path.write_text(json.dumps(document))
    assert "--tasks read " in evaluation_command(runs_of(tmp_path)[0])


def test_the_sweeps_own_command_reads_it_back(tmp_path):
    out = tmp_path / "a sweep"
    for condition in ("none", "de:zero"):
        write_run(out / condition / "small", condition, perplexities={"de": 5.0})
    (out / "sweep.json").write_text(json.dumps({"arguments": SWEEP}))
    words = shlex.split(sweep_command(out, runs_of(out)))
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert words[:2] == ["lsn-eval", "sweep"]
    assert sorted(given.pop("--conditions").split(",")) == ["de:zero", "none"]
    assert given == {
        "--model": "small", "--mask": "m 1.safetensors", "--tasks": "read_de,ask_de",
        "--dtype": "float32", "--batch-size": "16", "--device": "cpu",
        "--metadata": "data_root=/data", "--seed": "0,1234,1234,1234", "--out": f"{out}-again",
    }  # fmt: skip
    text = Outline(report(out)).text
    assert text.count("lsn-eval sweep") == 1
    assert "lm_eval --model" not in text


def test_what_a_sweep_was_given_is_in_its_command_or_named_beside_it(tmp_path):
    out = tmp_path / "sweep"
    write_run(out / "none" / "small", "none", perplexities={"de": 5.0})
    kept = {
        **SWEEP, "system_instruction": "Be brief.", "gen_kwargs": {"max_gen_toks": 8},
        "data_root": "/my data", "max_batch_size": 4, "fewshot_as_multiturn": False,
        "apply_chat_template": "short",
    }  # fmt: skip
    (out / "sweep.json").write_text(json.dumps({"arguments": kept}))
    words = shlex.split(sweep_command(out, runs_of(out)))
    assert words[0] == "LSN_EVAL_DATA=/my data"
    assert words[words.index("--system-instruction") + 1] == "Be brief."
    assert words[words.index("--gen-kwargs") + 1] == "max_gen_toks=8"
    assert "--apply-chat-template" in words
    text = " ".join(Outline(report(out)).text.split())
    for unsaid in (
        "max_batch_size: 4",
        "fewshot_as_multiturn: False",
        "apply_chat_template: short",
    ):
        assert unsaid in text


@pytest.mark.parametrize(("turns", "said"), [(False, True), (True, False), (None, False)])
def test_examples_in_one_turn_stay_in_one(tmp_path, turns, said):
    path = write_run(tmp_path, "none", perplexities={"de": 5.0})
    document = json.loads(path.read_text())
    document |= {"chat_template_sha": "abc", "fewshot_as_multiturn": turns}
    path.write_text(json.dumps(document))
    words = shlex.split(evaluation_command(runs_of(tmp_path)[0]))
    assert ("--fewshot_as_multiturn" in words) is said
    assert not said or words[words.index("--fewshot_as_multiturn") + 1] == "false"


def test_every_sign_of_a_table_is_one_of_the_page():
    assert {mark: sign for mark, (sign, _) in MARKS.items()} == {
        mark: sign for mark, sign in SIGNS.items() if mark
    }


def test_the_page_names_its_own_command(sweep, page):
    assert f"lsn-eval report {sweep} --out report.html" in page


# The file


def test_equal_results_give_an_equal_file(sweep, tmp_path):
    written = []
    for name in ("first.html", "second.html"):
        # Another process: another hash seed.
        code = (
            "from pathlib import Path; from lsn_eval.reporting import write_report; import sys\n"
            "write_report([Path(sys.argv[1])], Path(sys.argv[2]))"
        )
        command = [sys.executable, "-c", code, str(sweep), str(tmp_path / name)]
        subprocess.run(command, check=True)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


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
    assert re.search(r"799 further commands are left out", page)
    assert "994 further controls are left out" in page


def test_many_conditions_are_cut_and_counted(tmp_path):
    for number in range(30):
        condition = "none" if number == 0 else f"de:x0.{number:02}"
        write_run(tmp_path / str(number), condition, {"de": [sample(0, "p", GERMAN, 1.0)]})
    assert "6 further conditions are left out: 24 are shown" in report(tmp_path)


def test_long_tables_are_cut_and_counted(tmp_path):
    for number in range(300):
        condition = "none" if number == 0 else f"de:x0.{number:03}"
        write_run(tmp_path / str(number), condition, perplexities={"de": 5.0 + number})
    page = report(tmp_path)
    assert page.count("50 further rows are left out") == 3
    assert page.count("49 further rows are left out") == 1  # the baseline has no own language
    assert page.count('<th scope="row">') < 1010  # four tables of 250, and short ones
    assert "1 further panel is not drawn" in page
    assert len(page) < 1_500_000


# The command


def run(*words: object):
    return CliRunner().invoke(app, ["report", *map(str, words)])


def test_the_command_writes_and_says_what(sweep, tmp_path):
    result = run(sweep, "--out", tmp_path / "r.html", "--samples", 2)
    assert result.exit_code == 0, result.output
    assert "In accuracy and token_perplexity, a condition" in result.output
    assert "5 files, 2 panels" in result.output
    assert (tmp_path / "r.html").stat().st_size > 10_000


def test_warnings_are_printed_too(tmp_path):
    write_run(tmp_path / "a", "none", perplexities={"de": 5.0})
    write_run(tmp_path / "b", "de:zero", perplexities={"de": 5.0})
    assert "Likely no-op: " in run(tmp_path, "--out", tmp_path / "r.html").output


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "missing", "does not exist"),
        (lambda folder: folder, "holds no results"),
        (lambda folder: _written(folder / "x.json", "{"), "cannot be read as JSON"),
        (lambda folder: _written(folder / "x.json", "[]"), "holds no JSON object"),
        (lambda folder: _written(folder / "x.json", '{"results": {}}'), "has no 'configs'"),
        (
            lambda folder: write_run(folder, "none", perplexities={"de": float("nan")}),
            "none can be",
        ),
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


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("nowhere/r.html", "does not exist"),
        ("data", "is a folder"),
        ("a_file/r.html", "a_file, named in .* is a file; give a folder"),
        ("a_file/deeper/r.html", "a_file, named in .* is a file; give a folder"),
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


@pytest.mark.parametrize("name", ["r.htm", "R.HTML", "r"])
def test_names_of_pages_are_taken(tmp_path, name):
    write_run(tmp_path / "data", "none", perplexities={"de": 5.0})
    write_report([tmp_path / "data"], tmp_path / name)
    assert (tmp_path / name).read_text().startswith("<!DOCTYPE html>")


def test_results_are_never_written_over(tmp_path):
    written = write_run(tmp_path, "none", perplexities={"de": 5.0})
    path = written.rename(tmp_path / "results.html")
    before = path.read_bytes()
    with pytest.raises(ReportError, match="one of the results files"):
        write_report([path], path)
    assert path.read_bytes() == before


def test_a_sweep_that_failed_whole_is_refused_with_its_reasons(tmp_path):
    fail(tmp_path / "bad", "none", "no such tokenizer hf_abcdefgh12")
    result = run(tmp_path / "bad", "--out", tmp_path / "r.html")
    assert result.exit_code == 2
    said = " ".join(result.output.split())
    assert "none: no such tokenizer *** (" in said
    assert "failed.json)" in said
    assert not (tmp_path / "r.html").exists()


def test_what_failed_does_not_hide_what_did_not(tmp_path):
    write_run(tmp_path / "good", "none", perplexities={"de": 5.0})
    fail(tmp_path / "bad", "none", "no such tokenizer")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "r.html"
    written = write_report([tmp_path / "good", tmp_path / "bad"], out)
    told = next(caution for caution in written.cautions if caution.title == "Failed conditions")
    assert told.items == (f"none in {tmp_path / 'bad'}: no such tokenizer",)
    assert f"lsn-eval report {tmp_path / 'good'} {tmp_path / 'bad'} " in out.read_text()
    # The same below one folder, and an empty folder is still refused.
    assert write_report([tmp_path], out).cautions == written.cautions
    with pytest.raises(LsnError, match="empty holds no results"):
        write_report([tmp_path / "good", tmp_path / "empty"], out)


def fail(folder: Path, condition: str, reason: str) -> None:
    place = folder / condition.replace(":", "_")
    place.mkdir(parents=True)
    record = {"condition": condition, "error": "ValueError", "reason": reason}
    (place / "failed.json").write_text(json.dumps(record))


@pytest.mark.parametrize("late", [False, True])
def test_an_older_page_stays_when_a_new_one_fails(tmp_path, monkeypatch, late):
    from lsn_eval.reporting import page as page_room

    write_run(tmp_path / "data", "none", perplexities={"de": 5.0})
    out = tmp_path / "r.html"
    out.write_text("older")

    def fail(*_, **__):
        raise LsnError("no")

    if late:
        # What cannot be written as bytes fails when the new file is open already.
        monkeypatch.setattr(page_room, "rendered", lambda _: "no bytes")
    else:
        monkeypatch.setattr(page_room, "run_tables", fail)
    with pytest.raises(TypeError if late else LsnError):
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
    assert "'bleu' is no metric of these results; there are accuracy" in result.output


def test_several_models_are_set_beside_each_other(tmp_path):
    for model in ("one", "two"):
        for condition, values in (("none", (5.0, 8.0)), ("de:zero", (9.0, 8.1))):
            path = write_run(
                tmp_path / f"{model}{condition}", condition,
                perplexities=dict(zip(("de", "zh"), values, strict=True)),
            )  # fmt: skip
            document = json.loads(path.read_text())
            document["config"]["lsn"]["model"]["name"] = model
            path.write_text(json.dumps(document))
    page = report(tmp_path)
    assert 'id="board-1"' in page
    assert "one" in page.split('id="board-1"')[1]


def test_the_wheel_would_hold_the_page():
    import lsn_eval.reporting

    folder = Path(lsn_eval.reporting.__file__).parent
    for name in ("page.html", "page.css", "page.js"):
        assert (folder / name).stat().st_size > 500


def test_a_report_needs_neither_torch_nor_lm_eval(sweep, tmp_path):
    code = (
        "import sys; from pathlib import Path; from lsn_eval.reporting import write_report\n"
        "assert 'jinja2' not in sys.modules and 'matplotlib' not in sys.modules\n"
        "write_report([Path(sys.argv[1])], Path(sys.argv[2]))\n"
        "heavy = {'torch', 'lm_eval', 'transformers', 'datasets'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(sweep), str(tmp_path / "r.html")], check=True)
