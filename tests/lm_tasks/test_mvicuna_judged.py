"""`lsn_mvicuna_judged_{lang}` inside lm-eval: spooled, then graded, whatever the judge does."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from builders.commands import printed
from builders.our_tasks import task_manager
from builders.reference import REFERENCE, needs_reference
from builders.scripted_server import KEY, ScriptedServer, always, asked
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.loggers import EvaluationTracker

from lsn_eval.judge import JudgeError
from lsn_eval.judge.answers import load_saved
from lsn_eval.lm_tasks.local_data import LocalDataError
from lsn_eval.lm_tasks.mvicuna_judged import judge_options
from lsn_eval.storage import shipped

pytestmark = pytest.mark.slow

QUESTIONS = ["Was ist Zeit?", "Wer war Ada?", "Wie fliegt ein Vogel?", "Was ist Brot?"]


class Parrot(LM):
    """Answers with the prompt's question; notes when it generated."""

    def __init__(self, server: ScriptedServer | None = None) -> None:
        super().__init__()
        self.server, self.generated, self.requests_before = server, 0, 0

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        self.generated += len(requests)
        self.requests_before = self.server.requests if self.server else 0
        return [f"Die Antwort auf {r.args[0].split('?')[0]} ist lang." for r in requests]

    def loglikelihood(self, requests: list[Any]) -> Any:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Any]) -> Any:
        raise NotImplementedError


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    questions = tmp_path / "data" / "mvicuna"
    questions.mkdir(parents=True)
    (questions / "de.txt").write_text("\n".join(QUESTIONS), encoding="utf-8")
    return tmp_path


def evaluate(
    server, folder: Path, monkeypatch, task="lsn_mvicuna_judged_de", root=None, **metadata
):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url if server else "http://127.0.0.1:9/v1")
    metadata = {
        "data_root": str(root or folder / "data"), "judge_model": "judge",
        "judge_timeout": 5, "judge_first_delay": 0.02,
    } | metadata  # fmt: skip
    metadata = {name: value for name, value in metadata.items() if value is not None}
    model = Parrot(server)
    tasks = task_manager("mvicuna", "mvicuna_judged", **metadata)
    results = simple_evaluate(
        model, tasks=[task], task_manager=tasks, metadata=metadata, log_samples=True,
        bootstrap_iters=0, predict_only=metadata.get("predict_only", False),
    )  # fmt: skip
    return results, model


def save(results: dict[str, Any], folder: Path) -> None:
    tracker = EvaluationTracker(output_path=str(folder))
    samples = results.pop("samples")
    tracker.general_config_tracker.model_name_sanitized = "parrot"
    tracker.save_results_aggregated(results=results, samples=samples)
    for task, rows in samples.items():
        tracker.save_results_samples(task_name=task, samples=rows)


def test_grades_counts_interval_and_signature_are_in_the_results(folder, monkeypatch):
    def script(number, body):
        if QUESTIONS[1] in asked(body):
            return "I cannot tell."
        return "Grade: 4" if QUESTIONS[0] in asked(body) else "Grade: 7"

    with ScriptedServer(script).running() as server:
        results, model = evaluate(server, folder, monkeypatch)
        assert (model.generated, model.requests_before) == (4, 0)
        assert server.requests == 3 + 3
        scores = results["results"]["lsn_mvicuna_judged_de"]
        assert scores["judge_grade,none"] == 6.0
        assert scores["judge_judged,none"] == 3
        assert scores["judge_unjudged,none"] == 1
        assert scores["judge_grade_low,none"] <= 6 <= scores["judge_grade_high,none"]
        assert scores["lsn_language_accuracy,none"] == 1.0
        judge = results["configs"]["lsn_mvicuna_judged_de"]["metadata"]["judge"]
        assert judge["signature"].startswith("judge:judge|prompt:sha256-")
        assert judge["unjudged_because"] == {"none of 3 replies could be read": 1}
        assert judge["usage"]["prompt_tokens"] == 600
        assert "cost" not in judge["usage"]
        rows = results["samples"]["lsn_mvicuna_judged_de"]
        assert [row["judge_grade"] for row in rows] == [4, None, 7, 7]
        # The first message has the question alone: the instruction is for the model.
        assert "Bitte antworte" not in asked(server.bodies[0])

        repeated, _ = evaluate(
            server, folder, monkeypatch, judge_price_input=1, judge_price_output=2.0
        )
        assert server.requests == 6
        usage = repeated["configs"]["lsn_mvicuna_judged_de"]["metadata"]["judge"]["usage"]
        assert (usage["requests"], usage["cost"], usage["cached"]) == (0, 0.0, 6)
        assert repeated["results"]["lsn_mvicuna_judged_de"]["judge_grade,none"] == 6.0


def test_answers_are_spooled_before_the_first_request(folder, monkeypatch):
    spooled = []

    def script(number, body):
        spooled.append([f.read_text("utf-8") for f in (folder / "kept").glob("*.jsonl")])
        return "Grade: 4"

    with ScriptedServer(script).running() as server:
        evaluate(server, folder, monkeypatch, judge_spool=str(folder / "kept"))
    assert len(spooled) == 4
    assert all(files == spooled[0] and len(files) == 1 for files in spooled)
    rows = [json.loads(line) for line in spooled[0][0].splitlines()]
    assert [row["question"] for row in rows] == QUESTIONS
    assert rows[0] == {
        "task": "lsn_mvicuna_judged_de", "doc_id": "0", "question": QUESTIONS[0],
        "answer": "Die Antwort auf Q: Was ist Zeit ist lang.",
    }  # fmt: skip
    assert not (folder / "lsn_judge").exists()


@pytest.mark.parametrize("act", [("status", 401, {}, f"bad key {KEY}"), ("status", 500), ("cut",)])
def test_a_failing_judge_loses_neither_answers_nor_other_metrics(folder, monkeypatch, caplog, act):
    with always(act).running() as server:
        results, _ = evaluate(server, folder, monkeypatch, judge_retries=1)
    scores = results["results"]["lsn_mvicuna_judged_de"]
    assert math.isnan(scores["judge_grade,none"])
    assert (scores["judge_judged,none"], scores["judge_unjudged,none"]) == (0, 4)
    assert scores["lsn_language_accuracy,none"] == 1.0
    (spool,) = (folder / "lsn_judge").glob("*.jsonl")
    assert f"grade what is left with: lsn-eval judge lsn_judge/{spool.name}" in caplog.text
    save(results, folder / "out")
    for file in folder.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes(), file
    assert KEY not in caplog.text
    with always("Grade: 9").running() as server:
        printed("judge", spool, "--model", "judge", "--base-url", server.url)
        graded = json.loads((folder / "graded.json").read_text())
        assert (graded["graded"][0]["judged"], graded["graded"][0]["mean_grade"]) == (4, 9.0)
        # The task finds those grades: both ask the same.
        results, _ = evaluate(server, folder, monkeypatch)
        assert results["results"]["lsn_mvicuna_judged_de"]["judge_grade,none"] == 9.0
        assert server.requests == 4


def test_a_judge_lost_between_making_the_task_and_asking(folder, monkeypatch):
    """Every error of the judge, not only the server's, leaves a results file."""

    def broken(*_):
        raise JudgeError("the disk is full")

    monkeypatch.setattr("lsn_eval.judge.session.JudgeSession.grade", broken)
    results, _ = evaluate(None, folder, monkeypatch)
    assert results["results"]["lsn_mvicuna_judged_de"]["judge_unjudged,none"] == 4
    judge = results["configs"]["lsn_mvicuna_judged_de"]["metadata"]["judge"]
    assert judge["unjudged_because"] == {"the disk is full": 4}
    assert load_saved(folder / judge["spool"])[0].task == "lsn_mvicuna_judged_de"


def test_samples_of_either_task_are_graded_later(folder, monkeypatch):
    with always("Grade: 5").running() as server:
        for task in ("lsn_mvicuna_de", "lsn_mvicuna_judged_de"):
            results, _ = evaluate(server, folder, monkeypatch, task=task)
            save(results, folder / task)
        assert server.requests == 4
        loaded = [load_saved(folder / task) for task in ("lsn_mvicuna_de", "lsn_mvicuna_judged_de")]
        assert loaded[0][0].answers == loaded[1][0].answers
        assert [a.question for a in loaded[0][0].answers] == QUESTIONS
        spooled = folder / "lsn_mvicuna_de"
        printed("judge", spooled, "--model", "judge", "--base-url", server.url)
        assert server.requests == 4


@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        ({}, JudgeError, "OPENAI_API_KEY"),
        ({"judge_model": None}, JudgeError, "judge_model=MODEL"),
        ({"judge_modle": "x"}, JudgeError, "judge_modle is unknown; there are judge_model"),
        ({"judge_concurrency": 0}, JudgeError, "concurrency is 0"),
        ({"judge_price_input": 1}, JudgeError, "needs both"),
        ({"judge_api_key": KEY}, LocalDataError, "looks like a secret"),
        ({"judge_parameters": {"api_key": KEY}}, LocalDataError, "looks like a secret"),
    ],
)
def test_no_key_and_odd_options_are_errors_before_anything_is_generated(
    folder, monkeypatch, metadata, error, message
):
    if not metadata:
        monkeypatch.delenv("OPENAI_API_KEY")
    generated = []
    monkeypatch.setattr(Parrot, "generate_until", lambda *a, **k: generated.append(1))
    with pytest.raises(error, match=message) as caught:
        evaluate(None, folder, monkeypatch, **metadata)
    assert KEY not in str(caught.value)
    assert not generated
    assert not (folder / "lsn_judge").exists()


def test_every_option_has_the_prefix():
    assert judge_options({"judge_model": "m", "lid": "x"}) == {"model": "m"}


def test_predict_only_asks_nobody(folder, monkeypatch):
    with always("Grade: 5").running() as server:
        results, model = evaluate(server, folder, monkeypatch, predict_only=True)
        assert (model.generated, server.requests) == (4, 0)
        assert "judge_grade,none" not in results["results"]["lsn_mvicuna_judged_de"]


@needs_reference
@pytest.mark.parametrize("language", ["de", "tr"])
def test_the_released_questions(folder, monkeypatch, language):
    with always("Grade: 5").running() as server:
        results, _ = evaluate(
            server, folder, monkeypatch, task=f"lsn_mvicuna_judged_{language}", root=REFERENCE
        )
        scores = results["results"][f"lsn_mvicuna_judged_{language}"]
        assert scores["judge_judged,none"] == 70
        assert scores["judge_grade,none"] == 5.0


def test_the_group_counts_each_language_once(folder, monkeypatch):
    languages = ("de", "en", "es", "fr", "id", "ja", "tr", "vi", "zh")
    for language in languages:
        questions = [f"{language} {i}?" for i in range(10 if language == "zh" else 2)]
        (folder / "data" / "mvicuna" / f"{language}.txt").write_text("\n".join(questions))

    def script(number, body):
        return "Grade: 10" if "zh " in asked(body) else "Grade: 1"

    with ScriptedServer(script).running() as server:
        results, _ = evaluate(server, folder, monkeypatch, task="lsn_mvicuna_judged")
    assert results["results"]["lsn_mvicuna_judged_zh"]["judge_judged,none"] == 10
    grade = results["groups"]["lsn_mvicuna_judged"]["judge_grade,none"]
    assert grade == pytest.approx((8 * 1 + 10) / 9)


def test_the_judged_languages_are_those_of_the_questions():
    def languages(family: str) -> set[str]:
        files = (shipped.tasks_dir() / family).glob(f"lsn_{family}_*.yaml")
        return {file.stem.rpartition("_")[2] for file in files}

    assert languages("mvicuna_judged") == languages("mvicuna") != set()
