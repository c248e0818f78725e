"""`lsn-eval sweep --backend`: conditions from weights, by any of lm-eval's models."""

from __future__ import annotations

import json
import shutil
import weakref
from pathlib import Path
from types import SimpleNamespace

import lm_eval
import pytest
from builders.commands import printed
from builders.masked_models import save_masked
from builders.masks import tiny_mask
from builders.mlama import write_mlama
from builders.our_tasks import task_manager
from builders.served import transformers_serve
from builders.sweeps import command, sweep_settings
from lm_eval.api.registry import model_registry
from lm_eval.models.huggingface import HFLM

from lsn_eval.comparing import compare
from lsn_eval.errors import LsnError
from lsn_eval.harness.lsn_mlm import LsnMLM
from lsn_eval.models.loading import load_model
from lsn_eval.reporting.reproduction import commands
from lsn_eval.results import read_results, read_runs
from lsn_eval.results.model_records import baked_record
from lsn_eval.sweeping import sweep
from lsn_eval.sweeping.evaluation import Evaluation
from lsn_eval.sweeping.running import run_sweep
from lsn_eval.sweeping.settings import SweepError, SweepSettings

CONDITIONS = ("none", "de:zero", "random1-de:zero", "de:mean/ru:x0.5")
TASKS = ("lsn_demo_ppl_de", "lsn_demo_langacc_de")
ENGINE = "an_engine"


def settings(**given) -> SweepSettings:
    return sweep_settings(**{"conditions": CONDITIONS, "tasks": TASKS, "limit": 4, **given})


def values(folder: Path) -> dict[str, dict[str, float]]:
    """Numbers by condition, of every task and metric."""
    found: dict[str, dict[str, float]] = {}
    for row in read_results([folder]):
        found.setdefault(row.condition, {})[f"{row.task} {row.name}"] = row.value
    return found


def weights(folder: Path) -> list[Path]:
    return list(folder.rglob("*.safetensors"))


@pytest.fixture(scope="module")
def hooked(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("hooked")
    assert not run_sweep(settings(), out, progress=False).failed
    return out


@pytest.mark.slow
def test_hf_gives_the_numbers_of_hooks_and_is_compared_with_them(hooked, tmp_path, monkeypatch):
    assert not run_sweep(settings(backend="hf"), tmp_path, progress=False).failed
    found, wanted = values(tmp_path), values(hooked)
    assert list(found) == sorted(CONDITIONS, key=list(wanted).index)
    for condition in CONDITIONS:
        # A number is written into a gate's bias and the weights that follow, in bfloat16.
        exact = "mean" not in condition
        assert found[condition] == pytest.approx(wanted[condition], rel=1e-6 if exact else 0.02)
    assert found["de:zero"] != pytest.approx(found["none"], rel=0.05)
    assert not weights(tmp_path)
    comparison = compare([hooked / "none", tmp_path / "de_zero", tmp_path / "random1-de_zero"])
    for panel in comparison.panels:
        change = panel.change("de:zero", "de")
        assert (change.obstacles, change.incomparable) == ((), False)
        assert change.documents == 4
        assert change.controls
    monkeypatch.setattr(Evaluation, "load", lambda *_: pytest.fail("it is finished"))
    assert run_sweep(settings(backend="hf"), tmp_path).skipped == list(CONDITIONS)
    with pytest.raises(SweepError, match='backend was "hf" and is null'):
        run_sweep(settings(), tmp_path)


@pytest.mark.slow
def test_a_masked_language_model_is_swept_with_hooks_and_loaded_once(tmp_path):
    checkpoint = save_masked(tmp_path / "model", "bert")
    tiny_mask(load_model(checkpoint)[0]).save(tmp_path / "mask.safetensors")
    root = str(write_mlama(tmp_path))
    chosen = settings(
        model=checkpoint, mask=str(tmp_path / "mask.safetensors"), tasks=("lsn_mlama_de",),
        conditions=("none", "de:zero/fr:2"), backend="lsn_mlm", metadata={"data_root": root},
        model_args={"pll": "word_l2r"}, limit=None,
    )  # fmt: skip
    outcome = run_sweep(chosen, tmp_path / "out", progress=False)
    assert not outcome.failed
    found = {}
    for condition, path in outcome.finished.items():
        lm = LsnMLM(checkpoint, mask=chosen.mask, condition=condition, device="cpu", batch_size=2)
        tasks = task_manager("mlama", data_root=root)
        alone = lm_eval.simple_evaluate(lm, tasks=["lsn_mlama_de"], task_manager=tasks)
        document = json.loads(path.read_text())
        samples = [json.loads(line) for line in next(path.parent.glob("samples*")).open()]
        expected = [sample["resps"] for sample in alone["samples"]["lsn_mlama_de"]]
        assert [sample["resps"] for sample in samples] == expected
        record = document["config"]["lsn"]
        assert (document["config"]["model"], record["condition"]) == ("lsn_mlm", condition)
        assert bool(record["seen"]) == (condition != "none")
        found[condition] = expected
    assert found["none"] != found["de:zero/fr:2"]


@pytest.fixture
def engine(monkeypatch) -> SimpleNamespace:
    """A model of lm-eval's that keeps what it was made of, and breaks where it is told to."""
    seen = SimpleNamespace(made=[], alive=[], breaks="", stale=None)

    class Engine(HFLM):
        def __init__(self, pretrained, **arguments):
            assert [one() for one in seen.alive] == [None] * len(seen.alive), "the last is there"
            assert seen.stale is None or not seen.stale.exists(), "what was left takes room"
            record = baked_record(Path(pretrained))
            seen.made.append((pretrained, record.get("condition"), arguments))
            if record.get("condition") == seen.breaks:
                raise RuntimeError("no memory")
            super().__init__(pretrained, **arguments)
            seen.alive.append(weakref.ref(self))

    monkeypatch.setitem(model_registry._objs, ENGINE, Engine)
    return seen


@pytest.mark.slow
def test_every_condition_has_a_model_of_its_own_which_is_gone_afterwards(hooked, engine, tmp_path):
    engine.breaks, engine.stale = "random1-de:zero", tmp_path / ".unfinished" / "model-1"
    engine.stale.mkdir(parents=True)
    arguments = ("--limit", 4, "--conditions", "none,de:zero,random1-de:zero", "--backend", ENGINE)
    done = command("--out", tmp_path, *arguments, "--model-args", "revision=main,dtype=float32")
    assert done.exit_code == 2, "dtype has an option"
    done = command("--out", tmp_path, *arguments, "--model-args", "logits_cache=True")
    assert done.exit_code == 1
    assert "no memory" in done.stdout
    places, baked, given = zip(*engine.made, strict=True)
    assert baked == (None, "de:zero", "random1-de:zero")
    assert len(set(places)) == 3
    assert not any(Path(place).exists() for place in places[1:])
    assert given[1]["logits_cache"] is True
    assert {"mask", "condition"}.isdisjoint(given[1])
    assert not weights(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "de_zero", "none", "random1-de_zero", "sweep.json",
    ]  # fmt: skip

    engine.breaks = ""
    assert (
        command("--out", tmp_path, *arguments, "--model-args", "logits_cache=True").exit_code == 0
    )
    assert engine.made[-1][1] == "random1-de:zero"
    assert len(engine.made) == 4
    rows = read_results([tmp_path])
    assert {row.signature.partition("|")[0] for row in rows} == {f"model:lsn_demo({ENGINE})"}
    for row in rows:
        record = json.loads(row.file.read_text())["config"]["lsn"]
        assert row.signature.startswith(record["signature"].rpartition("|")[0])
        assert record["mask"]["digest"]
    panel, *_ = compare([tmp_path]).panels
    assert panel.change("de:zero", "de").obstacles == ()
    panel, *_ = compare([hooked / "none", tmp_path / "de_zero"]).panels
    (reason,) = panel.change("de:zero", "de").obstacles
    assert f"backend hf and {ENGINE}" in reason
    said = printed("compare", hooked, tmp_path / "none", tmp_path / "de_zero")
    assert "an older file was measured with model:lsn_demo|" in said

    (again,), _ = commands(read_runs([tmp_path]))
    assert again.settings["backend"] == ENGINE
    alone = shutil.copytree(tmp_path / "de_zero", tmp_path / "sent" / "de_zero")
    (again,), _ = commands(read_runs([alone]))
    assert again.words[:2] == ["lsn-eval", "sweep"]
    assert SweepSettings.from_mapping(again.settings) == SweepSettings.from_mapping({
        **again.settings, "model": "lsn_demo", "mask": "demo/planted", "dtype": "float32",
        "conditions": ("de:zero",), "backend": ENGINE, "model_args": {"logits_cache": True},
    })  # fmt: skip


@pytest.mark.slow
def test_a_server_that_loads_what_it_is_asked_for_gives_the_answers_of_hooks(tmp_path):
    """`transformers serve` writes the answers; it has no log-likelihoods to ask for."""
    shared = {"tasks": TASKS[1:], "conditions": ("none", "de:zero"), "dtype": None}
    shared |= {"batch_size": "1"}
    with transformers_serve(tmp_path / "log") as (url, log):
        chosen = settings(
            **shared, backend="local-completions",
            model_args={"base_url": f"{url}/completions", "tokenized_requests": False},
        )  # fmt: skip
        outcome = run_sweep(chosen, tmp_path / "out", progress=False)
    assert not outcome.failed, log.read_text()[-2000:]
    run_sweep(settings(**shared), tmp_path / "hooked", progress=False)  # in bfloat16, too
    found, wanted = values(tmp_path / "out"), values(tmp_path / "hooked")
    for condition in ("none", "de:zero"):
        assert found[condition] == pytest.approx(wanted[condition], abs=0.01)
    assert found["none"] != found["de:zero"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"conditions": ("none", "de:zero", "de:+mean", "ru:+1.5")},
         r"cannot be written there.*de:\+mean.*ru:\+1.5: .*mlp.act"),
        ({"conditions": ("de:zero@generated",)}, "de:zero@generated: .*every position"),
        ({"backend": "lsn_hf"}, "backend is 'lsn_hf'; one of lm-eval's models.*without"),
        ({"backend": "no_engine", "conditions": ("none",)}, "--backend no_engine: .*no model"),
        ({"model_args": {"peft": "adapter"}}, "model_args holds peft"),
        ({"free": 10**6}, r"weights of one condition take .* GB at a time, and .* has 0.0 GB free"),
        ({"loaded": True}, "a loaded one has no files"),
    ],
    ids=["add", "positions", "lsn_hf", "unknown", "adapter", "disk", "loaded"],
)  # fmt: skip
def test_what_cannot_be_run_from_weights_is_refused_before_anything_runs(
    given, said, tmp_path, monkeypatch
):
    monkeypatch.setattr(Evaluation, "load", lambda *_: pytest.fail("something ran"))
    if free := given.pop("free", None):
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    chosen = {
        "model": "lsn_demo", "mask": "demo/planted", "tasks": TASKS[0], "backend": "hf",
        "conditions": ("none", "de:zero"), **given,
    }  # fmt: skip
    if chosen.pop("loaded", False):
        chosen["model"], chosen["tokenizer"] = load_model("lsn_demo", device="cpu")
    with pytest.raises(LsnError, match=f"(?s){said}"):
        sweep(tmp_path / "out", progress=False, **chosen)
    assert not (tmp_path / "out").exists()


def test_what_a_killed_run_left_counts_as_room(tmp_path, monkeypatch):
    """It is removed before anything is written."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    left = tmp_path / ".unfinished" / "model-1" / "de_zero" / "model.safetensors"
    left.parent.mkdir(parents=True)
    with left.open("wb") as file:
        file.truncate(10**9)
    monkeypatch.setattr(Evaluation, "load", lambda *_: pytest.fail("it has begun"))
    with pytest.raises(pytest.fail.Exception, match="it has begun"):
        run_sweep(settings(backend="hf"), tmp_path, progress=False)
    assert not left.exists()
