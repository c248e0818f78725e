"""`lsn_langacc_*`: free generation with a seed a document, and prompted generation."""

from __future__ import annotations

import lm_eval
import pytest
import torch
from builders.our_tasks import load_task, task_manager
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.harness.seeded_generation import SeededGeneration, seed_marker, take_seed
from lsn_eval.language_scores import language_metrics
from lsn_eval.lm_tasks.langacc import StartTokenError, start_text
from lsn_eval.storage.shipped import demo_model_dir

pytestmark = pytest.mark.slow

ARGUMENTS = {"pretrained": str(demo_model_dir()), "device": "cpu"}


def manager(**metadata) -> TaskManager:
    return task_manager("langacc", **ARGUMENTS, **metadata)


def evaluate(tasks, model="hf", metadata=None, **options):
    if isinstance(model, str):
        options["model_args"] = ARGUMENTS
    return lm_eval.simple_evaluate(
        model=model, tasks=tasks, task_manager=manager(**(metadata or {})), bootstrap_iters=0,
        limit=4, gen_kwargs="max_gen_toks=12", **options,
    )  # fmt: skip


def texts(found, task="lsn_langacc_de") -> list[str]:
    return [sample["resps"][0][0] for sample in found["samples"][task]]


class Seeded(SeededGeneration, HFLM):
    """What `lsn_hf` is made of."""


@pytest.fixture(scope="module")
def seeded() -> Seeded:
    return Seeded(ARGUMENTS["pretrained"], device="cpu", batch_size=1)


def test_free_generation_is_the_same_at_every_batch_size_order_and_global_seed(seeded):
    first = evaluate(["lsn_langacc_de"], seeded)
    assert len(set(texts(first))) > 1
    larger = Seeded(ARGUMENTS["pretrained"], device="cpu", batch_size=4)
    again = evaluate(["lsn_langacc_de"], larger, torch_random_seed=7)
    assert texts(again) == texts(first)
    last_alone = lm_eval.simple_evaluate(
        model=seeded, tasks=["lsn_langacc_de"], task_manager=manager(), bootstrap_iters=0,
        samples={"lsn_langacc_de": [3]}, gen_kwargs="max_gen_toks=12",
    )  # fmt: skip
    assert texts(last_alone) == texts(first)[3:]


def test_each_text_is_what_a_plain_loop_with_its_seed_gives(seeded):
    found = evaluate(["lsn_langacc_de"], seeded)
    model, tokenizer = seeded.model, seeded.tokenizer
    for seed, text in enumerate(texts(found), start=1):
        torch.manual_seed(seed)
        tokens = [tokenizer.eos_token_id]
        for _ in range(12):
            with torch.no_grad():
                logits = model(torch.tensor([tokens])).logits[0, -1].float()
            chances = (logits / 0.8).softmax(-1)[None]
            tokens.append(int(torch.multinomial(chances, 1)))
            if tokens[-1] == tokenizer.eos_token_id:
                break
        assert tokenizer.decode(tokens, skip_special_tokens=True) == text


def test_plain_hf_runs_it_too_from_its_global_seed():
    """It knows no seed of a request, but batches no two of them together."""
    found = evaluate(["lsn_langacc_de"], batch_size=4)
    assert len(set(texts(found))) > 1
    assert texts(evaluate(["lsn_langacc_de"], batch_size=1)) == texts(found)
    assert texts(evaluate(["lsn_langacc_de"], torch_random_seed=7)) != texts(found)
    assert set(found["results"]["lsn_langacc_de"]) >= {
        f"{metric},none"
        for metric in ("lsn_language_accuracy", "mean_length", "stopword_ratio", "script_share", "repetition", "empty")
    }  # fmt: skip


def test_lsn_hf_generates_by_the_seed(seeded):
    lm = LsnHF(ARGUMENTS["pretrained"], condition="none", device="cpu", batch_size=2)
    assert texts(evaluate(["lsn_langacc_de"], lm)) == texts(evaluate(["lsn_langacc_de"], seeded))


def test_a_seed_leaves_the_global_generator_as_it_was(seeded):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    options = {"until": [seed_marker(3)], "max_gen_toks": 4, "do_sample": True, "temperature": 0.8}
    seeded.generate_until([Instance("generate_until", {}, ("<|endoftext|>", options), 0)])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_seed_among_the_arguments_counts_as_well(seeded):
    def generate(**options):
        sampled = {"until": [], "max_gen_toks": 12, "do_sample": True, "temperature": 0.8}
        arguments = sampled | options
        request = Instance("generate_until", {}, ("<|endoftext|>", arguments), 0)
        return seeded.generate_until([request])

    assert generate(seed=3) == generate(until=[seed_marker(3)]) != generate(seed=4)


def test_requests_carry_the_seed_and_on_request_as_an_argument():
    for metadata, more in [({}, {}), ({"request_seed": True}, {"seed": 2})]:
        task = load_task("lsn_langacc_tr", **ARGUMENTS, **metadata)
        task.build_all_requests(rank=0, world_size=1)
        assert len(task.instances) == 100
        context, options = task.instances[1].args
        assert context == "<|endoftext|>"
        assert options == {
            "until": [seed_marker(2)], "max_gen_toks": 64, "do_sample": True, "temperature": 0.8,
            "top_k": 0, "top_p": 1.0, **more,
        }  # fmt: skip


def test_take_seed():
    assert take_seed(["\n", seed_marker(12)]) == (12, ["\n"])
    assert take_seed(["\n", "<|lsn_seed:x|>"]) == (None, ["\n", "<|lsn_seed:x|>"])


def test_start_token_is_bos_else_end_of_text_else_what_is_given(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "eos")
    assert start_text({"pretrained": str(tmp_path / "eos")}) == "<|endoftext|>"
    assert start_text({"pretrained": "lsn_demo"}) == "<|endoftext|>"
    assert start_text({"pretrained": "x", "tokenizer": str(tmp_path / "eos")}) == "<|endoftext|>"
    assert start_text({"pretrained": object(), "tokenizer": tokenizer}) == "<|endoftext|>"
    both = tokenizer.__class__.from_pretrained(tmp_path / "eos", bos_token="a")
    both.save_pretrained(tmp_path / "bos")
    assert start_text({"pretrained": str(tmp_path / "bos")}) == "a"
    assert start_text({"pretrained": "anything", "start_text": "<s>"}) == "<s>"
    with pytest.raises(StartTokenError, match="start_text"):
        start_text({})


def test_a_model_without_tokenizer_needs_a_start_token():
    found = evaluate(["lsn_langacc_de"], "dummy", {"start_text": "<s>"})
    assert found["results"]["lsn_langacc_de"]["mean_length,none"] == 3


def test_a_request_cache_which_forgets_the_tokenizer_is_refused():
    with pytest.raises(StartTokenError, match="--cache_requests"):
        evaluate(["lsn_langacc_de"], cache_requests=True)


def test_chat_template_and_few_shot_are_left_out(caplog):
    task = load_task("lsn_langacc_de", **ARGUMENTS)
    task.build_all_requests(
        limit=1, rank=0, world_size=1, apply_chat_template=True, chat_template=str,
        system_instruction="Be brief.",
    )  # fmt: skip
    assert task.instances[0].args[0] == "<|endoftext|>"
    assert "left out" in caplog.text


def test_prompted_generation_is_greedy_from_openings_in_the_language():
    found = evaluate(["lsn_langacc_prompted_nl", "lsn_langacc_prompted_zh"], batch_size=2)
    for name in ("lsn_langacc_prompted_nl", "lsn_langacc_prompted_zh"):
        for sample in found["samples"][name]:
            context, options = sample["arguments"][0]
            assert context == sample["doc"]["prompt"]
            assert options == {"until": [], "do_sample": False, "max_gen_toks": 12}
    again = evaluate(["lsn_langacc_prompted_nl"], batch_size=4)
    name = "lsn_langacc_prompted_nl"
    assert texts(again, name) == texts(found, name)


def test_every_language_has_a_hundred_seeds_and_openings_that_are_identified_as_it():
    """Written here: a slip in a list of 14 languages would move every figure."""
    tasks = task_manager("langacc").load(["lsn_langacc", "lsn_langacc_prompted"])["tasks"]
    languages = ["ar", "de", "en", "es", "fr", "id", "it", "ja", "nl", "pt", "ru", "tr", "vi", "zh"]
    assert len(tasks) == 2 * len(languages)
    for language in languages:
        free, prompted = (tasks[f"lsn_langacc_{kind}{language}"] for kind in ("", "prompted_"))
        assert (len(free.eval_docs), len(prompted.eval_docs)) == (100, 8)
        joined = ". ".join(doc["prompt"] for doc in prompted.eval_docs)
        assert language_metrics([joined], language)["accuracy"] == 1.0, language
