"""Results of tuned models: conditions of the model, ranked by what tuning is for."""

from __future__ import annotations

import json

import pytest
from builders.results import compared, write_run

from lsn_eval.conditions import Condition, is_tuned, steering
from lsn_eval.errors import ConditionError
from lsn_eval.results import read_results
from lsn_eval.results.controls import controlled
from lsn_eval.results.model_records import MADE_AT, record_of, tuning_of
from lsn_eval.results.rows import ResultsError

BASE = [(-100.0, 30)] * 40
TUNED = "tuned-0a1b2c3d"


def tuning(who, **changed):
    mask = {"name": "m", "digest": "f" * 64, "method": "lape", "languages": ["de", "en"]}
    return {
        "condition": f"{who}:{TUNED}", "digest": "0a1b2c3d", "separate": False, "mask": mask,
        "neurons": {"mlp.act": {"0": 3, "1": 4}}, **changed,
    }  # fmt: skip


def write_tuned(root, name, loss, record, within="none"):
    """Perplexities after an adapter, whose folder is in the arguments, under a condition of hooks."""

    def edit(document):
        document["config"]["model_args"]["peft"] = f"adapters/{name}"
        document["config"]["model_num_parameters"] = 123
        document["config"]["lsn"]["model"]["tuning"] = record

    items = [(log - loss, count) for log, count in BASE]
    tasks = {f"ppl_{x}": {"token_perplexity": items if x == "de" else BASE} for x in ("de", "en")}
    return write_run(root / name, within, tasks, edit=edit)


def test_adapters_stand_beside_the_model_and_a_fall_of_perplexity_is_large(tmp_path):
    tasks = {f"ppl_{x}": {"token_perplexity": BASE} for x in ("de", "en")}
    parameters = {"model_num_parameters": 100}  # without an adapter
    write_run(tmp_path / "none", "none", tasks, edit=lambda d: d["config"].update(parameters))
    for name, loss in (("de", -9.0), ("random1-de", -2.0), ("random2-de", 4.0), ("full", -20.0)):
        write_tuned(tmp_path, name, loss, tuning(name))
    write_tuned(tmp_path, "both", 5.0, tuning("de"), within="en:zero")
    panels = {panel.mask: panel for panel in compared(tmp_path).panels}
    panel = panels["sha256-" + "f" * 12]
    assert panel.model == "org/model"
    assert panel.conditions == ("none", f"de:{TUNED}", f"full:{TUNED}")
    change = panel.changes[f"de:{TUNED}", "de"]
    assert change.shift == pytest.approx(-9 / 30)
    assert change.obstacles == ()
    assert set(change.controls) == {f"random{k}-de:{TUNED}" for k in (1, 2)}
    assert change.control_p == pytest.approx(1 / 3)  # neither control lowers it as much
    assert panel.selectivity[f"de:{TUNED}"].p == pytest.approx(1 / 3)
    assert f"full:{TUNED}" not in panel.selectivity
    assert panel.changes[f"full:{TUNED}", "de"].row.neurons == 7
    (other,) = (panel for mask, panel in panels.items() if mask != "sha256-" + "f" * 12)
    assert other.conditions == ("none", f"de:{TUNED}/en:zero")


def test_an_adapter_that_hf_ran_is_the_same_condition_unless_it_is_newer(tmp_path):
    record, arguments = tuning("de", **{MADE_AT: 5.0}), {"pretrained": "org/model"}
    record |= {"version": "0.1.0", "separate": True}
    arguments["peft"] = str(tmp_path / "adapter")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "lsn.json").write_text(json.dumps(record))
    tasks, held = {"ppl_de": {"token_perplexity": BASE}}, {"lsn_baked": record_of(arguments)}
    for name, date, config in (
        ("folder", 6.0, {}), ("older", 4.0, {}), ("held", 4.0, {"model_args": arguments, **held}),
    ):  # fmt: skip
        config = {"model_args": arguments, "model_sha": "c0ffee", **config}
        write_run(tmp_path / name, None, tasks, config=config, date=date)
    write_tuned(tmp_path, "hooks", 0.0, record)
    folder, held, hooks = (
        next(row for row in read_results(tmp_path / name) if row.task == "ppl_de")
        for name in ("folder", "held", "hooks")
    )
    assert folder.signature == held.signature
    assert folder.key == held.key == hooks.key
    assert folder.key[:2] == (f"org/model+{TUNED}", f"de:{TUNED}")
    assert folder.neurons == hooks.neurons == 7
    assert folder.settings["model revision"] == held.settings["model revision"] == "c0ffee"
    assert "peft" not in folder.settings["model arguments"]
    with pytest.raises(ResultsError, match=r"older.*are older than the model in its folder"):
        read_results(tmp_path / "older")


def test_a_head_is_compared_with_the_head_alone(tmp_path):
    write_tuned(tmp_path, "none", 0.0, tuning("de", condition="none", separate=True))
    write_tuned(tmp_path, "de", -3.0, tuning("de", separate=True))
    write_run(tmp_path / "untuned", "none", {"ppl_de": {"token_perplexity": BASE}})
    rows = {(row.model, row.condition) for row in read_results(tmp_path)}
    ours = f"org/model+{TUNED}"
    assert rows == {(ours, "none"), (ours, f"de:{TUNED}"), ("org/model", "none")}


@pytest.mark.parametrize("missing", ["condition", "digest", "separate", "mask", "neurons"])
def test_a_damaged_record_is_an_error(tmp_path, missing):
    record = tuning("de", separate=True)
    record[missing] = 7
    path = write_tuned(tmp_path, "de", 1.0, record)
    with pytest.raises(ResultsError, match=f"tuning: {missing} is 7"):
        read_results(path)
    assert tuning_of(tmp_path) == {}


def test_what_was_tuned_is_read_and_never_written():
    condition = Condition.parse(f"de:{TUNED}/de:zero@generated")
    assert str(condition) == f"de:{TUNED}/de:zero@generated"
    assert is_tuned(f"de:{TUNED}")
    assert not is_tuned("de:zero")
    assert steering(f"de:{TUNED}") is None
    assert steering(f"de:{TUNED}/en:mean").targets == ("en",)
    assert controlled(f"random3-de:{TUNED}/random3-en:{TUNED}") == f"de:{TUNED}/en:{TUNED}"
    with pytest.raises(ConditionError):
        Condition.parse("de:tuned")
