"""Results files and samples as lm-eval writes them, made up, for the report's tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from builders.commands import invoke
from builders.results_files import edited, write_document
from lsn_eval.reporting import report as write_report

DIGEST = "ab" * 32
LANGUAGES = ("de", "zh")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sample(number: int, prompt: str, answer: str, score: float, target: str = "") -> dict[str, Any]:
    return {
        "doc_id": number,
        "doc": {"prompt": prompt},
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {"until": []}}},
        "resps": [[answer]],
        "filtered_resps": [answer],
        "filter": "none",
        "metrics": ["accuracy"],
        "doc_hash": digest(f"doc {number}"),
        "prompt_hash": digest(prompt),
        "target_hash": digest(target),
        "accuracy": score,
    }


def write_run(
    folder: Path,
    condition: str,
    answers: Mapping[str, Sequence[dict[str, Any]]] | None = None,
    *,
    perplexities: Mapping[str, float] | None = None,
    unchanged: Sequence[str] = (),
    samples: bool = True,
    **config: Any,
) -> Path:
    """One results file: `accuracy` of the answers by language, and perplexities without samples."""
    results: dict[str, Any] = {}
    configs: dict[str, Any] = {}

    def add(task: str, metric: str, value: float, **config: Any) -> None:
        results[task] = {"alias": task, f"{metric},none": value}
        configs[task] = {"num_fewshot": 0, **config}

    for language, logged in (answers or {}).items():
        mean = sum(entry["accuracy"] for entry in logged) / len(logged)
        kwargs = {"generation_kwargs": {"max_gen_toks": 32}}
        add(f"ask_{language}", "accuracy", mean, output_type="generate_until", **kwargs)
    for language, value in (perplexities or {}).items():
        add(f"read_{language}", "token_perplexity", value)
    of_tasks = {f"ask_{language}": logged for language, logged in (answers or {}).items()}
    everything = {
        "model_args": {"pretrained": "small", "mask": "m.safetensors", "condition": condition},
        "model_num_parameters": 1000, "model_revision": "main", "model_sha": "", "batch_size": "4",
        "device": "cpu", "limit": None, "random_seed": 0, "numpy_seed": 1234, "torch_seed": 1234,
    }  # fmt: skip
    written = {"neurons": 7, "calls": 24, "values_overwritten": 1234, "values_changed": 1200}
    return write_document(
        folder, results, condition=condition, configs=configs, config={**everything, **config},
        documents={task: len(logged) for task, logged in of_tasks.items()}, of=20,
        higher_is_better={"accuracy": True, "token_perplexity": False},
        samples=of_tasks if samples else None, date=1_700_000_000.0, stamp="2026-01-01",
        model="small", digest=DIGEST, neurons=(3, 4), hookpoints={"mlp.act": written},
        mask={"name": "m.safetensors", "method": "lape", "languages": list(LANGUAGES)},
        unchanged=unchanged,
    )  # fmt: skip


SWEEP = {
    "apply_chat_template": False, "batch_size": "16", "device": "cpu", "gen_kwargs": {},
    "include_path": None, "limit": None, "mask_digest": DIGEST,
    "metadata": {"pretrained": "small", "mask": "m 1.safetensors", "data_root": "/data"},
    "model_args": {"pretrained": "small", "mask": "m 1.safetensors", "dtype": "float32"},
    "num_fewshot": None, "seed": [0, 1234, 1234, 1234], "system_instruction": None,
    "tasks": ["read_de", "ask_de"],
}  # fmt: skip
"""Arguments as a sweep keeps them."""
GERMAN = "Der Zug nach Hamburg fährt morgen früh um acht Uhr von Gleis drei ab."
ENGLISH = "The train to Hamburg leaves tomorrow morning at eight from platform three."
CHINESE = "开往汉堡的火车明天早上八点从三号站台出发，请大家准时上车。"


def write_sweep(folder: Path, documents: int = 8) -> Path:
    """none, de:zero with two controls, zh:zero; answers in two languages, perplexities too."""
    for condition in ("none", "de:zero", "random1-de:zero", "random2-de:zero", "zh:zero"):
        answers, perplexities = {}, {}
        for language, spoken, perplexity in (("de", GERMAN, 5.0), ("zh", CHINESE, 8.0)):
            hit = condition == f"{language}:zero"
            answers[language] = [
                sample(n, f"Frage {n}?", ENGLISH if hit else spoken, 0.0 if hit and n % 4 else 1.0)
                for n in range(documents)
            ]
            factor = 2.0 if hit else 1.01 if condition.startswith("random") else 1.0
            perplexities[language] = round(perplexity * factor, 6)
        name = condition.replace(":", "_")
        write_run(folder / name, condition, answers, perplexities=perplexities)
    return folder


def revised(document: dict[str, Any]) -> None:
    for config in document["configs"].values():
        config["dataset_kwargs"]["revision"] = "another"


def submit(
    folder: Path, model: str, change: Callable[[dict[str, Any]], object] = lambda document: None
) -> Path:
    """A sweep of somebody's model, of five conditions in as many files."""

    def edit(document: dict[str, Any]) -> None:
        document["config"]["lsn"]["model"]["name"] = model
        document["config"]["model_args"]["pretrained"] = model
        change(document)

    write_sweep(folder)
    for path in folder.rglob("results_*.json"):
        edited(path, edit)
    return folder


class Outline(HTMLParser):
    """Elements of a page with their attributes, and the text without scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.pieces).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.cdata_elem is None:
            self.pieces.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def report(folder: Path, out: Path | None = None, **options: Any) -> str:
    """The page about the results in a folder, written into it unless `out` says where."""
    out = out or folder / "report.html"
    write_report([folder], out, **options)
    return out.read_text("utf-8")


def run(*words: object):
    """`lsn-eval report`."""
    return invoke("report", *words)
