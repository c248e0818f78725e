"""`lsn_xquad_*`: the language of an answer, and the released questions; see `test_upstream.py`."""

from __future__ import annotations

import lm_eval
import pytest
import torch
import transformers
from builders.architectures import tiny_config
from builders.our_tasks import load_task, task_manager
from builders.reference import REFERENCE, needs_reference

from lsn_eval.errors import LsnError
from lsn_eval.lm_tasks.xquad import language_of_answer, scorer, squad_rows
from lsn_eval.storage.shipped import demo_model_dir


@pytest.mark.parametrize(
    ("answer", "language", "script", "in_language", "empty"),
    [
        ("der Fluss, der durch die Stadt fließt", "de", 1, 1, 0),
        ("der Fluss, der durch die Stadt fließt", "es", 1, 0, 0),
        ("der Fluss, der durch die Stadt fließt", "zh", 0, 0, 0),
        ("北京是中华人民共和国的首都", "zh", 1, 1, 0),
        ("北京是中华人民共和国的首都", "de", 0, 0, 0),
        ("1421", "zh", 1, 1, 0),
        (" \n", "de", 0, 0, 1),
        ("", "zh", 0, 0, 1),
    ],
)
def test_language_and_script_of_an_answer(answer, language, script, in_language, empty):
    assert language_of_answer(answer, language) == {
        "script_match": script,
        "language_match": in_language,
        "no_answer": empty,
    }


def test_a_scorer_scores_against_the_first_answer():
    doc = {"answers": {"text": ["der Aare", "Aare"], "answer_start": [0, 0]}}
    scores = scorer("de")(doc, ["Aare."])
    assert scores["exact_match"] == 0
    assert scores["f1"] == pytest.approx(2 / 3)
    assert scores["f1_mlqa"] == 1.0
    assert "f1_mlqa" not in scorer("ru")(doc, ["Aare"])


def test_an_identifier_that_is_not_there_is_an_error():
    with pytest.raises(LsnError, match=r"gone\.bin does not exist"):
        load_task("lsn_xquad_de", lid="gone.bin")


@needs_reference
@pytest.mark.parametrize("path", sorted((REFERENCE / "xquad").glob("*.json")), ids=lambda p: p.name)
def test_the_released_files_are_read_whole(path):
    rows = list(squad_rows(path))
    assert len(rows) == len({row["id"] for row in rows}) == 1190
    assert all(row["answers"]["text"][0] in row["context"] for row in rows)
    assert all(row["context"] == row["context"].strip() for row in rows)


@pytest.fixture(scope="module")
def long_model(tmp_path_factory) -> str:
    """The demo model's tokenizer and a tiny model that reads 1,024 tokens."""
    folder = tmp_path_factory.mktemp("long")
    tokenizer = transformers.AutoTokenizer.from_pretrained(demo_model_dir())
    config = tiny_config("llama")
    config.vocab_size, config.max_position_embeddings = len(tokenizer), 1024
    config.eos_token_id = config.pad_token_id = tokenizer.eos_token_id
    torch.manual_seed(3)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@needs_reference
@pytest.mark.slow
def test_released_questions_run_to_a_number(long_model):
    import lsn_eval.harness.lsn_hf  # noqa: F401

    tasks = ["lsn_xquad_de", "lsn_xquad_zh"]
    demo = {"pretrained": str(demo_model_dir()), "mask": "demo/planted", "condition": "de:zero"}
    # The demo's model reads 256 tokens: longer prompts are cut.
    for model, arguments in (("hf", {"pretrained": long_model}), ("lsn_hf", demo)):
        run = lm_eval.simple_evaluate(
            model=model, model_args=arguments, tasks=tasks, batch_size=3, device="cpu", limit=3,
            task_manager=task_manager("xquad", data_root=str(REFERENCE)), bootstrap_iters=0,
            gen_kwargs={"max_gen_toks": 12}, verbosity="ERROR",
        )  # fmt: skip
        for task in tasks:
            assert run["n-samples"][task] == {"original": 1190, "effective": 3}
            for metric in ("exact_match", "f1", "script_match", "language_match", "no_answer"):
                assert 0 <= run["results"][task][f"{metric},none"] <= 1
