"""The examples do what they say."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lsn_eval import NeuronMask

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    """Half of each language's: they show the same neurons in half of the time."""
    folder = tmp_path_factory.mktemp("examples") / "texts"
    folder.mkdir()
    for path in (EXAMPLES / "texts").iterdir():
        lines = path.read_text("utf-8").splitlines(keepends=True)
        (folder / path.name).write_text("".join(lines[: len(lines) // 2]), "utf-8")
    return folder


@pytest.mark.slow
def test_intervene_prints_a_perplexity_for_every_condition(warm_commands):
    shown = subprocess.run(
        [warm_commands / "python", EXAMPLES / "intervene.py"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    perplexity = {
        line.split(": ")[0]: float(line.split("perplexity ")[1].split(",")[0])
        for line in shown.splitlines()
        if "perplexity" in line
    }
    assert list(perplexity) == ["none", "de:zero", "random1-de:zero", "de:zero/nl:p90"]
    assert perplexity["de:zero"] > 1.2 * perplexity["none"]
    assert perplexity["random1-de:zero"] < 1.1 * perplexity["none"]


@pytest.mark.stock
def test_from_text_to_number(texts, tmp_path, warm_commands):
    path = f"{warm_commands}{os.pathsep}{os.environ['PATH']}"
    script = shutil.copy(EXAMPLES / "from_text_to_number.sh", texts.parent)
    subprocess.run(
        ["bash", script, tmp_path / "out"],
        check=True,
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
    )
    found = NeuronMask.load(tmp_path / "out" / "lape.safetensors")
    planted = NeuronMask.load("demo/planted")
    shared = found & planted
    for language in planted.languages:
        assert shared.count(language) >= 0.95 * planted.count(language)
        assert shared.count(language) >= 0.95 * found.count(language)
    perplexity = {}
    for file in (tmp_path / "out" / "results").rglob("results_*.json"):
        results = json.loads(file.read_text("utf-8"))
        perplexity[results["config"]["lsn"]["condition"]] = {
            task: result["token_perplexity,none"] for task, result in results["results"].items()
        }
    none, zero, control = (perplexity[c] for c in ("none", "de:zero", "random1-de:zero"))
    assert zero["lsn_demo_ppl_de"] > 1.2 * none["lsn_demo_ppl_de"]
    assert zero["lsn_demo_ppl_ru"] == pytest.approx(none["lsn_demo_ppl_ru"], rel=0.02)
    assert control["lsn_demo_ppl_de"] < 1.1 * none["lsn_demo_ppl_de"]


@pytest.mark.parametrize(
    "name", ["docs/python.md", "examples/intervene.py", "examples/notebook.ipynb"]
)
def test_what_is_tokenised_goes_where_the_model_is(name):
    """`load_model` puts it on a GPU if there is one."""
    (line,) = re.findall(r".*return_tensors.*", (EXAMPLES.parent / name).read_text("utf-8"))
    assert ".to(model.device)" in line


NOTEBOOK = json.loads((EXAMPLES / "notebook.ipynb").read_text("utf-8"))


def test_the_notebook_is_a_valid_one_without_outputs():
    assert set(NOTEBOOK) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])
    for cell in NOTEBOOK["cells"]:
        of_code = {"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {}
        source = cell["source"]
        assert all(isinstance(line, str) for line in source)
        common = {"cell_type", "id", "metadata", "source"}
        assert cell.keys() >= common
        assert {name: cell[name] for name in cell.keys() - common} == of_code
        assert re.fullmatch(r"[\w-]{1,64}", cell["id"])
        assert cell["cell_type"] in ("code", "markdown")


SHOWING = """
assert answers["none"] != answers["de:zero/nl:p90"], answers
assert len(outcome.finished) == 7 and not outcome.failed, outcome
changes = frame.set_index(["condition", "language"]).relative
for language in ("en", "de", "nl"):
    own = changes[f"{language}:zero", language]
    assert own > 0.2, changes
    assert all(changes[f"{language}:zero", x] < own / 4 for x in ("en", "de", "nl") if x != language)
assert "<h1" in written.out.read_text("utf-8")
assert result.passed
"""


@pytest.mark.slow
def test_the_notebook_runs_from_texts_to_a_verdict(texts, tmp_path, warm_commands):
    """Every cell in order, and what it ends in shown as a notebook does."""
    (tmp_path / "texts").symlink_to(texts)
    code = [cell["source"] for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    source = ["".join(lines) for lines in code]
    script = "\n".join([SHOW, *map(showing_its_end, source), SHOWING])
    shown = subprocess.run(
        [warm_commands / "python", "-c", script],
        check=False, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr[-3000:]
    html = [line for line in shown.stdout.splitlines() if line.startswith("<")]
    assert any("lape at mlp.act of lsn_demo" in line for line in html)
    assert any("passed" in line for line in html)


SHOW = """
def show(value):
    if hasattr(value, "_repr_html_") and (page := value._repr_html_()):
        print(page.replace("\\n", " "))
    elif hasattr(value, "_repr_png_"):
        assert value._repr_png_().startswith(b"\\x89PNG")
"""


def showing_its_end(cell: str) -> str:
    """The cell with its last expression shown, as a notebook does."""
    tree = ast.parse(cell)
    if isinstance(tree.body[-1], ast.Expr):
        tree.body[-1] = ast.parse(f"show({ast.unparse(tree.body[-1].value)})").body[0]
    return ast.unparse(tree)
