"""The definitions in `tasks/`: generated, complete, and readable by lm-eval."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml
from builders.our_tasks import task_manager, write_files
from lm_eval.tasks._yaml_loader import load_yaml

from lsn_eval.lm_tasks import definitions
from lsn_eval.lm_tasks.base import LsnTask
from lsn_eval.lm_tasks.evaluated_languages import LANGUAGES
from lsn_eval.lm_tasks.upstream import upstream_languages
from lsn_eval.storage.shipped import tasks_dir

FAMILIES = sorted(path.parent for path in tasks_dir().glob("*/generate.py"))


def generator(family: str) -> ModuleType:
    path = tasks_dir() / family / "generate.py"
    spec = importlib.util.spec_from_file_location(f"generate_{family}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_files_of_a_family_are_what_its_generator_writes(family):
    on_disk = {path.name: path.read_text("utf-8") for path in family.glob("*.yaml")}
    assert on_disk == generator(family.name).files(), f"run: python {family.name}/generate.py"
    assert len(on_disk) > 5
    assert (family / "README.md").stat().st_size > 400


def test_every_folder_of_definitions_is_a_family():
    folders = {path for path in tasks_dir().iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders == set(FAMILIES)


@pytest.fixture(scope="module")
def index():
    return task_manager("").task_index


@pytest.mark.slow
def test_lm_eval_indexes_every_file_under_its_own_name(index):
    names = {path.stem for family in FAMILIES for path in family.glob("*.yaml")}
    assert len(names) > 300
    assert names <= set(index)
    tags = {name for name, entry in index.items() if entry.yaml_path is None}
    assert set(index) == names | tags
    assert all(name.startswith("lsn_") for name in index), "none that lm-eval has or may get"


@pytest.fixture(scope="module")
def data_root(tmp_path_factory) -> Path:
    """A few rows for every language of every family, in the formats of `docs/data.md`."""
    files = {}
    for language in LANGUAGES.values():
        rows = [{"id": str(n), "text": f"{language.name} {n} " * 80} for n in range(40)]
        files[f"wikipedia/{language.iso}.jsonl"] = "\n".join(json.dumps(row) for row in rows)
        for split in ("dev", "devtest"):
            sentences = "".join(f"{language.name} {n}.\n" for n in range(12))
            files[f"flores200_dataset/{split}/{language.flores}.{split}"] = sentences
    for language in upstream_languages("xquad"):
        answer = {"text": "two", "answer_start": 4}
        question = {"id": "1", "question": "one?", "answers": [answer]}
        article = {"title": "t", "paragraphs": [{"context": "one two", "qas": [question]}]}
        files[f"xquad/xquad.{language}.json"] = json.dumps({"data": [article]})
    for language in upstream_languages("xnli"):
        row = {"premise": "one", "hypothesis": "two", "label": 1}
        files[f"xnli/{language}.validation.jsonl"] = json.dumps(row)
    for path in (tasks_dir() / "mvicuna").glob("lsn_mvicuna_*.yaml"):
        files[f"mvicuna/{path.stem[-2:]}.txt"] = "one?\ntwo?"
    for path in (tasks_dir() / "confusion").glob("*_??.yaml"):
        settings = load_yaml(path, resolve_func=False)["dataset_kwargs"]
        prompts = f"prompt,source,language\none?,x,{settings['language']}\n"
        files[f"test_sets/{settings['set']}/{settings['language']}.csv"] = prompts
    for path in (tasks_dir() / "iwslt").glob("lsn_iwslt_en_??.yaml"):
        pair = f"en-{path.stem[-2:]}"
        row = {"translation": {"en": "one", path.stem[-2:]: "two"}}
        files[f"iwslt2017/{pair}.test.jsonl"] = json.dumps(row)
    files["language_confusion/words"] = "weather\n"
    for language in generator("mlama").LANGUAGES:
        fact = {"uuid": "a", "sub_label": "one", "obj_label": "two"}
        template = {"relation": "P1", "template": "[X] [Y]"}
        files[f"mlama1.1/{language}/templates.jsonl"] = json.dumps(template)
        files[f"mlama1.1/{language}/P1.jsonl"] = json.dumps(fact)
    return write_files(tmp_path_factory.mktemp("data"), files)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.slow
def test_every_task_loads_from_local_data(family, data_root, tmp_path, monkeypatch, tokenizer):
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    monkeypatch.chdir(tmp_path)
    manager = task_manager(
        family.name, data_root=str(data_root), pretrained="lsn_demo", judge_model="none",
        flores_pair="de-fr", segmenter="characters",
    )  # fmt: skip
    names = [path.stem for path in family.glob("*.yaml") if path.stem in manager.all_subtasks]
    tasks = manager.load(names)["tasks"]
    assert set(tasks) == set(names)
    for task in tasks.values():
        if (language := getattr(task, "language", None)) is not None:
            assert task.config.task.endswith(f"_{language}")
        if hasattr(task, "introduce"):
            task.introduce(SimpleNamespace(tokenizer=tokenizer))
        task.build_all_requests(limit=1)
        assert task.instances
        assert task.higher_is_better()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.slow
def test_every_definition_loads_with_its_functions_and_every_group_has_its_members(family, index):
    for path in family.glob("*.yaml"):
        config = load_yaml(path, resolve_func=True)
        if "group" in config:
            assert set(config["task"]) <= set(index)
            continue
        assert config["metadata"]["version"]
        made = config.get("class")
        assert issubclass(made, LsnTask) if made else callable(config["custom_dataset"])


def test_language_codes_that_yaml_takes_for_something_else_stay_codes():
    text = definitions.task("x", "_template_yaml", {"language": "no"})["x.yaml"]
    assert yaml.safe_load(text)["dataset_kwargs"] == {"language": "no"}


def test_a_group_without_means_is_a_list():
    plain = yaml.safe_load(definitions.group("g", ["a", "b"])["g.yaml"])
    assert "aggregate_metric_list" not in plain
    mean = yaml.safe_load(definitions.group("g", ["a"], means=["acc"], by_question=True)["g.yaml"])
    assert mean["aggregate_metric_list"] == [
        {"metric": "acc", "aggregation": "mean", "weight_by_size": True}
    ]
