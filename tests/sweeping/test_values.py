"""Values that no sweep can run with are said at once: nothing is loaded, nothing is left."""

from __future__ import annotations

import pytest
from builders.commands import invoke
from builders.sweeps import command, sweep_settings

from lsn_eval.sweeping.evaluation import Evaluation
from lsn_eval.sweeping.running import run_sweep
from lsn_eval.sweeping.settings import SweepError

WRONG = [
    ("--batch-size", "foo", "batch_size is 'foo'; a whole number from 1 on, such as 16, or auto"),
    ("--batch-size", "0", "batch_size is '0'"),
    ("--batch-size", "auto:many", "batch_size is 'auto:many'"),
    ("--dtype", "float33", "dtype is 'float33'; one of auto, float32, bfloat16"),
    ("--device", "foo", "device is 'foo'; cpu, cuda, cuda:1"),
    ("--device", "cpu:0", "device is 'cpu:0'"),
    ("--device", "cuda:77", "device is 'cuda:77', and PyTorch finds"),
    ("--limit", "-1", "limit is -1.0; a number above 0"),
    ("--limit", "0", "limit is 0.0; a number above 0"),
    ("--limit", "nan", "limit is nan; a number above 0"),
    ("--gen-kwargs", "nonsense", "--gen-kwargs 'nonsense': k=v,k=v or a JSON object was expected"),
    ("--metadata", "a=1,zzz", "--metadata 'a=1,zzz': k=v,k=v or a JSON object was expected"),
    ("--metadata", "=1", "metadata is {'': 1}; names with values"),
    ("--include-path", "nope", "include_path is 'nope'; a folder that exists was expected"),
    ("--file", "nope.yaml", "nope.yaml cannot be read (No such file or directory)"),
    ("--file", ".", ". cannot be read (Is a directory)"),
]


@pytest.mark.parametrize(("option", "value", "said"), WRONG)
def test_wrong_values(option, value, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("--conditions", "none", "--out", "out", option, value)
    assert done.exit_code == 2, done.exception
    assert done.stderr.startswith("lsn-eval: error: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_values_in_python_and_from_a_file():
    for given in ({"batch_size": "auto"}, {"batch_size": "auto:4"}, {"limit": 0.5}, {"dtype": "auto"},
                  {"device": "cuda:1"}, {"gen_kwargs": {"seed": 1}}):  # fmt: skip
        sweep_settings(each="zero", **given)
    wrong = {"max_batch_size": 0, "num_fewshot": -1, "gen_kwargs": {1: 2}, "stack": -1}
    for name, value in wrong.items():
        with pytest.raises(SweepError, match=f"{name} is .* was expected"):
            sweep_settings(each="zero", **{name: value})


@pytest.mark.parametrize("out", ["afile", "afile/x"])
@pytest.mark.parametrize("demo", [False, True])
def test_a_file_where_the_folder_should_be(demo, out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "afile").write_text("kept")
    done = invoke("demo", "--out", out) if demo else command("--each", "zero", "--out", out)
    assert done.exit_code == 2, done.exception
    assert "afile is a file, and a folder was expected" in done.stderr
    assert "Errno" not in done.stderr
    assert (tmp_path / "afile").read_text() == "kept"


def test_a_sweep_in_several_processes_is_refused_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SweepError, match="runs in one process and was started in several"):
        run_sweep(sweep_settings(each="zero"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_what_cannot_be_loaded_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    out = tmp_path / "out"
    arguments = ("--conditions", "none", "--out", out)
    done = command(*arguments, "--model-args", "no_such_argument=1")
    assert done.exit_code == 2
    assert "cannot be loaded with" in done.stderr
    assert "TypeError: LlamaForCausalLM.__init__() got an unexpected keyword" in done.stderr
    assert "no_such_argument=1" in done.stderr
    assert not out.exists()

    def interrupted(self, on_answer):
        raise KeyboardInterrupt

    monkeypatch.setattr(Evaluation, "load", interrupted)
    done = command(*arguments)
    assert done.exit_code == 130
    assert "interrupted; nothing is finished; go on with" in done.stderr
    assert not out.exists()
