"""The judge end to end, against a real OpenAI-compatible server: `transformers serve` on loopback."""

from __future__ import annotations

import json
import shutil

import pytest
from builders.commands import printed
from builders.scripted_server import KEY, answers
from builders.served import transformers_serve
from transformers import AutoTokenizer

from lsn_eval.judge.answers import spool
from lsn_eval.storage import shipped

pytestmark = pytest.mark.slow

CHAT_TEMPLATE = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
GRADE = "Grade: 7"


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    """The embedded model, which answers nonsense, and the same biased to say `Grade: 7`."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("nonsense", "grades"):
        shutil.copytree(shipped.demo_model_dir(), folder / name)
        (folder / name / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    tokenizer = AutoTokenizer.from_pretrained(folder / "grades")
    said = [*tokenizer.encode(GRADE), tokenizer.eos_token_id]
    biases = [[said[: n + 1], 1000.0 * (n + 1)] for n in range(len(said))]
    path = folder / "grades" / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sequence_bias": biases}))
    return {name: str(folder / name) for name in ("nonsense", "grades")}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a running server."""
    with transformers_serve(tmp_path_factory.mktemp("server") / "log") as server:
        yield server


def test_nonsense_is_unjudged_and_grades_are_read(server, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url, log = server
    path = spool(tmp_path, "lsn_mvicuna_judged_de", answers(4))
    arguments = [
        "judge", str(path), "--base-url", url, "--attempts", "2",
        "--parameters", '{"temperature": 0, "max_tokens": 12}',
    ]  # fmt: skip
    shown = {}
    for name, model in models.items():
        status = int(name == "nonsense")
        said = printed(*arguments, "--model", model, "--out", f"{name}.json", status=status)
        assert ("nothing could be graded" in said) == bool(status)
        shown[name] = json.loads((tmp_path / f"{name}.json").read_text())
    (nonsense,), (graded,) = shown["nonsense"]["graded"], shown["grades"]["graded"]
    assert (nonsense["judged"], nonsense["unjudged"], nonsense["mean_grade"]) == (0, 4, None)
    assert shown["nonsense"]["usage"]["replies"] == 8
    assert all(len(entry["replies"]) == 2 for entry in nonsense["grades"])
    assert shown["nonsense"]["usage"]["completion_tokens"] > 0
    assert (graded["judged"], graded["unjudged"], graded["mean_grade"]) == (4, 0, 7.0)
    assert [entry["replies"] for entry in graded["grades"]] == [[GRADE]] * 4
    assert shown["grades"]["usage"]["prompt_tokens"] > 400
    for file in (*tmp_path.rglob("*"), log):
        assert file.is_dir() or KEY.encode() not in file.read_bytes()
    asked = log.read_text().count("POST /v1/chat/completions")
    assert asked > 0
    printed(*arguments, "--model", models["grades"])
    assert log.read_text().count("POST /v1/chat/completions") == asked, "all are on disk"
