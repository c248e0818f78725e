"""What has to be equal for two numbers to be compared, from lm-eval's results file."""

from __future__ import annotations

from lsn_eval.results.settings import differing, run_settings


def document(**task):
    return {
        "config": {"model_dtype": "torch.bfloat16", "gen_kwargs": {}, "torch_seed": 3},
        "configs": {"a": {"doc_to_text": "Q: {{q}}", **task}, "b": {"doc_to_text": "?"}},
        "versions": {"a": 1.0, "b": 2.0},
        "n-shot": {"a": 0, "b": 0},
        "n-samples": {"a": {"original": 9, "effective": 5}},
    }


def test_settings_of_a_task_are_words():
    found = run_settings(document(generation_kwargs={"do_sample": True}), "a")
    assert (found["dtype"], found["task version"], found["documents"]) == ("bfloat16", "1.0", "5")
    assert (found["seed"], found["few-shot seed"], found["chat template"]) == ("3", "none", "none")
    assert found["generation arguments"] == '{"do_sample": true}'
    assert all(isinstance(value, str) for value in found.values())
    given = document()
    given["config"]["gen_kwargs"] = "temperature=1"
    assert run_settings(given, "a")["generation arguments"] == '{"given": "temperature=1"}'


def test_addresses_of_functions_and_names_of_the_run_make_no_difference():
    first, second, other = (
        run_settings(document(process_docs=f"<function {at}>", metadata={"condition": at}), "a")
        for at in ("f at 0x7f00", "f at 0x7f99", "g at 0x7f00")
    )
    assert differing(first, second) == []
    assert [words.split()[0:2] for words in differing(first, other)] == [["task", "definition"]]


def test_settings_of_a_group_are_those_of_its_tasks_also_in_circles():
    given = document()
    given["group_subtasks"] = {"all": ["half", "b"], "half": ["a", "all"], "empty": []}
    found = run_settings(given, "all")
    assert found["dtype"] == "bfloat16"
    assert found["task version"] not in ("1.0", "2.0", "none")
    assert found["task version"] == run_settings(given, "all")["task version"]
    given["versions"]["b"] = 3.0
    assert differing(found, run_settings(given, "all"))[0].startswith("task version ")
    assert run_settings(given, "empty")["task version"] == "none"


def test_groups_within_groups_of_any_depth_are_read_once():
    given = document()
    below = {n: [f"g{n}", f"h{n}"] for n in range(2001)}
    given["group_subtasks"] = {f"{x}{n}": below[n + 1] for n in range(2000) for x in "gh"}
    given["group_subtasks"] |= {"g2000": ["a"], "h2000": ["b"]}
    assert run_settings(given, "g0") == run_settings(given, "h1999")


def test_torch_is_known_without_its_build():
    given = document() | {"pretty_env_info": "PyTorch version: 2.9.1+cu128\nIs debug build: False"}
    assert run_settings(given, "a")["torch"] == "2.9.1"
    assert differing(run_settings(given, "a"), run_settings(document(), "a")) == []


def test_differences_are_named_with_both_values_and_may_be_allowed():
    first = {"lm_eval": "1", "dtype": "a", "prompts": "none", "few-shot seed": "1"}
    second = {"lm_eval": "2", "dtype": "b", "prompts": "x", "few-shot seed": "none"}
    assert differing(first, second) == ["lm_eval 1 and 2", "dtype a and b"]
    assert differing(first, second, ["dtype"]) == ["lm_eval 1 and 2"]
    assert differing({}, {"dtype": "a"}) == ["dtype unknown and a"]
