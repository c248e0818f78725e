"""`lsn-eval plot` from results files to figures."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from builders.commands import printed, refused
from builders.results_files import task_results, write_results

from lsn_eval.masks.mask import NeuronMask
from lsn_eval.plotting import layer_map, overlap_map

VALUES = {
    "none": {"ppl_de": 5.0, "ppl_zh": 6.0, "ask_de": 0.9, "ask_zh": 0.8},
    "de:x0.5": {"ppl_de": 8.0, "ppl_zh": 6.1, "ask_de": 0.7, "ask_zh": 0.8},
    "de:zero": {"ppl_de": 9.0, "ppl_zh": 6.2, "ask_de": 0.2, "ask_zh": 0.8},
}


@pytest.fixture
def results(tmp_path):
    """A folder of results files as lm-eval writes them, without samples."""
    folder = tmp_path / "results"
    for condition, values in VALUES.items():
        metrics = {"ppl": "token_perplexity", "ask": "acc"}
        tasks = {task: task_results(**{metrics[task[:3]]: value}) for task, value in values.items()}
        write_results(
            folder / condition.replace(":", "_"), tasks, condition=condition, date=1,
            model="made", digest="ab" * 32,
        )  # fmt: skip
    return folder


run = functools.partial(printed, "plot")


@pytest.mark.parametrize(
    ("figure", "suffix"), [("heatmap", "png"), ("dose", "svg"), ("bars", "pdf")]
)
@pytest.mark.slow
def test_figures_of_results(results, tmp_path, figure, suffix):
    out = tmp_path / f"figure.{suffix}"
    assert f"written to {out}" in run(figure, results, "--out", out, "--label", "de=Deutsch")
    assert out.stat().st_size > 5000


@pytest.mark.parametrize("figure", ["layers", "overlap"])
@pytest.mark.slow
def test_figures_of_masks(tmp_path, figure):
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    for out in (first, second):
        run(figure, "demo/planted", "--out", out, "--label", "de=Deutsch")
    assert first.read_bytes() == second.read_bytes()
    plain = tmp_path / "c.svg"
    run(figure, "demo/planted", "--out", plain)
    assert plain.read_bytes() != first.read_bytes()


@pytest.mark.slow
def test_mask_figures_name_languages_and_count():
    mask = NeuronMask.load("demo/planted")
    layers, overlap = layer_map(mask, {"de": "Deutsch"}), overlap_map(mask, {"de": "Deutsch"})
    rows = [label.get_text() for label in layers.axes[0].get_yticklabels()]
    assert f"Deutsch ({mask.count('de')})" in rows
    assert [label.get_text() for label in overlap.axes[0].get_xticklabels()].count("Deutsch") == 1
    assert overlap.axes[0].images[0].get_clim() == (0, 1)
    for figure in (layers, overlap):
        said = " ".join(text.get_text() for text in figure.texts)
        assert mask.digest[:12] in said
        assert mask.method.name in said


@pytest.mark.parametrize(
    ("figure", "arguments", "expected"),
    [
        ("heatmap", ("--out", "figure.gif"), "a name ending in .png, .svg, .pdf was expected"),
        ("heatmap", ("--out", "nowhere/figure.png"), "the folder nowhere does not exist; create it first"),
        ("heatmap", ("--out", "a.png", "--label", "Deutsch"), "CODE=NAME was expected, for instance de=Deutsch"),
        ("heatmap", ("--out", "a.png", "--label", "de=A", "--label", "de=B"), "names de twice, A and B"),
        ("heatmap", ("--out", "a.png", "--metric", "bleu"), "no such metric in the results; there are token"),
        ("heatmap", ("--out", "a.png", "--mask", "ff"), "no such mask in the results; there are sha256-abab"),
        ("heatmap", ("--out", "a.png", "--label", "xx=Foo"), "which is not in the data; there are de, zh"),
        ("dose", ("--out", "a.png", "--by", "size"), "choose another (scale, value, added, multiple, neurons)"),
        ("dose", ("--out", "a.png", "--by", "added"), "no condition has a dose by added"),
        ("layers", ("--out", "a.png", "--label", "xx=Foo"), "not in the data; there are ar, de"),
        ("overlap", ("--out", "a.png", "--label", "xx=Foo"), "not in the data; there are ar, de"),
    ],
)  # fmt: skip
def test_errors_say_what_was_expected(results, tmp_path, monkeypatch, figure, arguments, expected):
    monkeypatch.chdir(tmp_path)
    of = "demo/planted" if figure in ("layers", "overlap") else results
    assert expected in refused("plot", figure, of, *arguments)
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.slow
def test_bars_take_a_linear_metric_by_themselves(results, tmp_path):
    bars = ("bars", results, "--out", tmp_path / "a.png")
    said = run(*bars)
    assert "drawn is acc of ask_*" in said
    assert "there are also token_perplexity of ppl_*" in said
    said = refused("plot", *bars, "--condition", "de:zero,fr:zero")
    assert "--condition fr:zero: no such condition in the results" in said
    assert "drawn is" not in said, "nothing was drawn"


@pytest.mark.slow
def test_a_condition_may_be_about_a_language_without_texts(results, tmp_path):
    path = results / "de_zero" / "results_1.json"
    path.write_text(path.read_text().replace('"de:zero"', '"fr:zero"'), encoding="utf-8")
    run("heatmap", results, "--out", tmp_path / "a.png", "--label", "fr=Français")


@pytest.mark.slow
def test_samples_that_cannot_be_read_are_said_and_marked(results, tmp_path):
    cut = results / "de_zero" / "samples_ppl_de_1.jsonl"
    cut.write_text('{"doc_id": 0, "do', encoding="utf-8")
    for metric, of_it in (("token_perplexity", True), ("acc", False)):
        said = run("heatmap", results, "--metric", metric, "--out", tmp_path / "a.png")
        assert ("note: de:zero on de: no test" in said) == of_it


@pytest.mark.slow
def test_a_name_that_cannot_be_written_is_said_in_a_line(results, tmp_path):
    said = run("heatmap", results, "--out", tmp_path / "a.png", "--label", "de=\U0001e6c0")
    assert "note: no installed font has" in said
    assert "Warning" not in said
    assert said.count("U+1E6C0") == 1


@pytest.mark.parametrize(
    ("arguments", "drawn"),
    [
        ((), "token_perplexity of ppl_*, made in float32, mask sha256-abababababab"),
        (("--metric", "acc"), "acc of ask_*"),
        (("--task", "ask_*"), "acc of ask_*"),
        (("--task", "ask_de"), "acc of ask_*"),
        (("--mask", "ab", "--metric", "token_*"), "mask sha256-abab"),
        (("--mask", "sha256-cd", "--task", "ppl_*"), "mask sha256-cdcd"),
        (("--condition", "de:x*", "--language", "de", "--mask", "ab", "--metric", "acc"), "acc of"),
    ],
)
@pytest.mark.slow
def test_which_panel_is_meant(results, tmp_path, arguments, drawn):
    other = results / "other" / "results_1.json"
    other.parent.mkdir()
    text = (results / "de_zero" / "results_1.json").read_text()
    document = json.loads(text.replace("ab" * 32, "cd" * 32))
    for task in ("ask_de", "ask_zh"):
        del document["results"][task]
    other.write_text(json.dumps(document))
    assert drawn in run("heatmap", results, "--out", tmp_path / "a.svg", *arguments)
    said = refused("plot", "heatmap", results, "--out", tmp_path / "b.png", "--task", "ppl_*")
    assert "that can mean several; say which with" in said
    assert all(f"mask sha256-{start * 6}" in said for start in ("ab", "cd"))
    assert not (tmp_path / "b.png").exists()


@pytest.mark.slow
def test_conditions_and_languages_are_chosen_as_everywhere(results, tmp_path):
    few = ("de:x0.5", "--language", "de")
    drawn = []
    for extra in ((), ("--condition", *few), ("--conditions", *few)):  # its old name
        run("bars", results, "--out", tmp_path / "a.svg", *extra)
        drawn.append((tmp_path / "a.svg").read_bytes())
    assert len(drawn[1]) < len(drawn[0])
    assert drawn[1] == drawn[2]


@pytest.mark.slow
def test_the_command_line_loads_matplotlib_only_to_draw():
    code = (
        "import sys; from lsn_eval.cli import plot\n"
        "heavy = {'torch', 'lm_eval', 'transformers', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import lsn_eval.plotting\n"
        "assert not {'torch', 'lm_eval', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
