"""Tasks and a model that is an object: with lm-eval's own TaskManager or one of one's own, they give
what they give for the same model by name."""

from __future__ import annotations

import json

import lm_eval
import pytest
from builders.our_tasks import task_manager
from lm_eval.models.huggingface import HFLM

from lsn_eval import sweep
from lsn_eval.harness import plugin
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.models.loading import load_model
from lsn_eval.storage.shipped import tasks_dir

NAMED = "pretrained=lsn_demo,mask=demo/planted,condition=de:zero,dtype=float32,max_length=96"
METADATA = {"pretrained": "lsn_demo", "max_length": 96}
TASKS = [
    "lsn_demo_ppl_de",
    "lsn_demo_langacc_de",
    "lsn_langacc_de",
    "lsn_langacc_prompted_de",
    "lsn_wikippl_de",
    "lsn_wikippl_papers_de",
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory):
    plugin.register()
    folder = tmp_path_factory.mktemp("data")
    (folder / "wikipedia").mkdir()
    rows = (tasks_dir() / "demo" / "data" / "de.jsonl").read_text("utf-8").splitlines()
    text = " ".join(json.loads(row)["text"] for row in rows[:12])
    lines = [json.dumps({"id": str(n), "text": text[n:]}) for n in range(30)]
    (folder / "wikipedia" / "de.jsonl").write_text("\n".join(lines), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSN_EVAL_DATA", str(folder))
        yield


@pytest.fixture(scope="module")
def objects():
    """A model by name in a Python object, and one that was loaded before."""
    options = {"mask": "demo/planted", "condition": "de:zero", "max_length": 96, "batch_size": 2}
    model, tokenizer = load_model("lsn_demo", dtype="float32", device="cpu")
    model.config._name_or_path = "no/such-name"
    return {
        "named": LsnHF("lsn_demo", device="cpu", dtype="float32", **options),
        "loaded": LsnHF(model, tokenizer=tokenizer, **options),
    }


def measured(results) -> dict[str, float]:
    (of_task,) = results["results"].values()
    return {name: value for name, value in of_task.items() if isinstance(value, float)}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_gives_an_object_what_it_gives_the_model_by_name(task, objects, tmp_path):
    family = task.split("_")[1]

    def evaluated(model, manager, **options):
        results = lm_eval.simple_evaluate(
            model, tasks=[task], task_manager=manager, limit=2, bootstrap_iters=0, **options
        )
        json.dumps(results["configs"], default=lambda value: pytest.fail(str(type(value))))
        return measured(results)

    named = {"model_args": NAMED, "batch_size": 2, "device": "cpu"}
    expected = evaluated("lsn_hf", task_manager(family, **METADATA), **named)
    assert len(expected) >= 3 or family == "wikippl"
    for lm in objects.values():
        assert evaluated(lm, task_manager(family)) == expected
    cache = {"use_cache": str(tmp_path / "cache")}
    assert evaluated(objects["loaded"], task_manager(family), **cache) == expected
    none = HFLM(objects["loaded"].model, tokenizer=objects["loaded"].tokenizer, max_length=96)
    assert evaluated(none, task_manager(family)) != expected, "the condition is that of the object"


def test_lm_evals_own_manager_serves_as_well(objects):
    with plugin.asked_for(TASKS[1:2]):
        results = lm_eval.simple_evaluate(objects["named"], tasks=TASKS[1:2], limit=2)
    assert measured(results)["mean_length,none"] > 0


@pytest.mark.parametrize("task", TASKS[:2])
def test_a_sweep_of_a_loaded_model_takes_its_tokenizer(task, objects, tmp_path):
    """Under a name at which there is none."""
    model, tokenizer = objects["loaded"].model, objects["loaded"].tokenizer
    settings = {"mask": "demo/planted", "tasks": [task], "conditions": ["none"], "limit": 2}
    outcome = sweep(tmp_path, model=model, tokenizer=tokenizer, batch_size=2, **settings)
    assert not outcome.failed
    (path,) = tmp_path.rglob("results_*.json")
    named = lm_eval.simple_evaluate(
        "lsn_hf", "pretrained=lsn_demo,condition=none,dtype=float32", tasks=[task], limit=2,
        task_manager=task_manager("demo", **METADATA), batch_size=2, device="cpu",
    )  # fmt: skip
    assert measured(json.loads(path.read_text("utf-8"))) == measured(named)
