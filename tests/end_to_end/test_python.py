"""Who works in Python gets what who types commands gets, and what the documentation says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from builders.commands import printed
from builders.results import write_sweep

import lsn_eval
from lsn_eval import check, compare, plot, read_results, report
from lsn_eval.errors import LsnError

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text("utf-8"), re.M | re.S
)


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """The folder `sweep`, where commands and functions find it."""
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path / "sweep")
    return tmp_path / "sweep"


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With None for what a frame has no number for."""
    return [{name: None if x != x else x for name, x in row.items()} for row in rows]


def test_every_name_can_be_imported():
    for name in lsn_eval.__all__:
        assert getattr(lsn_eval, name) is not None
        assert name in dir(lsn_eval)


@pytest.mark.parametrize("chosen", [{}, {"condition": "de:zero", "language": ["de", "zh"]}])
def test_the_same_folder_gives_the_same_numbers(sweep, chosen):
    options = [
        f"--{name}={','.join([x] if isinstance(x, str) else x)}" for name, x in chosen.items()
    ]
    numbers = json.loads(printed("compare", "sweep", "--format", "json", *options))["numbers"]
    frame = compare("sweep", **chosen).to_frame()
    assert len(frame) == len(numbers) > 5
    assert plain(frame.to_dict("records")) == numbers
    controls = {f"random{number}-de:zero" for number in (1, 2)}
    assert (set(frame.condition) == {"none", "de:zero", *controls}) == bool(chosen)
    assert (set(frame.language) == {"de", "zh"}) == bool(chosen)


@pytest.mark.filterwarnings("ignore::lsn_eval.plotting.lettering.PlotWarning")
@pytest.mark.slow
def test_five_lines_go_from_results_to_a_frame_and_a_heat_map(sweep):
    """The figure is the command's to the last byte, from paths, from rows and from a comparison."""
    (lines,) = (block for block in BLOCKS if "to_frame()\nfigure" in block)
    assert len([line for line in lines.splitlines() if line]) <= 5
    names: dict[str, Any] = {}
    exec(lines, names)
    assert names["frame"].value.notna().all()
    assert names["figure"]._repr_png_().startswith(b"\x89PNG")
    printed("plot", "heatmap", "sweep", "--out", "typed.svg")
    for given in ("sweep", read_results("sweep"), names["comparison"]):
        plot("heatmap", given, "called.svg")
        assert Path("called.svg").read_bytes() == Path("typed.svg").read_bytes()


@pytest.mark.slow
def test_check_and_report_say_what_the_commands_say(sweep, capsys):
    baseline = sweep.parent / "baseline.json"
    assert check(sweep, baseline, update=True).passed
    accepted = json.loads(baseline.read_text("utf-8"))
    for change, status in ((1.0, 0), (1.5, 1)):
        accepted["values"][0]["value"] *= change
        baseline.write_text(json.dumps(accepted))
        result = check(read_results(sweep), baseline)
        assert result.passed == (status == 0)
        said = json.loads(
            printed("check", "sweep", "--baseline", baseline, "--json", status=status)
        )
        assert json.loads(json.dumps(result.to_json())) == said
        assert plain(result.to_frame().to_dict("records")) == said["findings"]
    assert result.summary()[1][1][0] == "regression"
    printed("report", "sweep", "--out", "typed.html")
    capsys.readouterr()
    written = report("sweep", "called.html")
    assert Path("called.html").read_bytes() == Path("typed.html").read_bytes()
    assert written.verdicts[0] in repr(written)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: plot("heat", "sweep"), "'heat' of a str: one of heatmap, dose, bars, answers of"),
        (lambda: plot("layers", compare("sweep", test=False)), "of a Comparison: .* layers, overlap of a mask, or of similarity"),
        (lambda: plot("heatmap", lsn_eval.NeuronMask.load("demo/planted")), "of a NeuronMask"),
        (lambda: plot("layers", 5), "a mask or its path was expected, not a int"),
        (lambda: plot("heatmap", compare("sweep", test=False), language="de"), "choose them before"),
        (lambda: plot("heatmap", "sweep", colour="red"), "not by colour"),
        (lambda: plot("heatmap", "sweep", by="scale"), "of the figure 'dose'"),
        (lambda: compare("sweep", metrics="x"), "chosen by task, metric.*, not by metrics"),
        (lambda: report([5], "a.html"), "int were given"),
        (lambda: check("sweep", "none.json"), "does not exist; make it"),
        (lambda: check("sweep", "none.json", tolerance="1%"), "--update"),
        (lambda: lsn_eval.identify(5), "statistics or their path were expected"),
        (lambda: lsn_eval.identify("none.safetensors"), "none.safetensors"),
        (lambda: lsn_eval.sweep("out", model="x", tokenizer=object()), "go together"),
        (lambda: lsn_eval.load_model("no/such/model"), "cannot be loaded"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_message(sweep, call, said):
    with pytest.raises(LsnError, match=said):
        call()


@pytest.mark.slow
def test_the_examples_of_the_page_work(tmp_path, warm_commands):
    (tmp_path / "german.txt").write_bytes((ROOT / "examples" / "texts" / "de.txt").read_bytes())
    done = subprocess.run(
        [warm_commands / "python", "-c", "\n".join(BLOCKS)],
        check=False, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("lape.safetensors", "bars.png", "layers.svg", "report.html", "baseline.json"):
        assert (tmp_path / name).stat().st_size > 100
