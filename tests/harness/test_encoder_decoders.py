"""`lsn_hf` with encoder-decoders, under a condition in the encoder, in the decoder and in both; and
conditions that share their batches, or cannot."""

from __future__ import annotations

import copy

import lm_eval
import pytest
import torch
from builders.architectures import tiny_model
from builders.masks import mask_at
from builders.sweeps import seen_always
from datasets import Dataset
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from lsn_eval import intervene
from lsn_eval.harness.lsn_hf import LsnHF

TEXTS = ["Der Hund schläft.", "Куда идёт поезд?", "a", "El gato come pescado fresco."]
CHOICES = [
    Instance("loglikelihood", {}, (text, answer), 0) for text in TEXTS for answer in (" ja", " no")
]
ANSWERS = [
    Instance("generate_until", {}, (text, {"until": ["\n"], "max_gen_toks": 6}), 0)
    for text in TEXTS
]
STACKS = ("encoder", "decoder", "")


def saved(folder, name, tokenizer) -> str:
    model, tokenizer = tiny_model(name), copy.deepcopy(tokenizer)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(model.config.pad_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module", params=["mt5", "m2m_100"])
def checkpoint(request, tmp_path_factory, tokenizer):
    return request.param, saved(tmp_path_factory.mktemp(request.param), request.param, tokenizer)


def load(folder, mask=None, condition=None, kind=LsnHF, **options):
    given = {"mask": mask, "condition": condition} if kind is LsnHF else {}
    return kind(folder, device="cpu", batch_size=3, **given, **options)


@pytest.mark.slow
def test_choices_and_answers_are_those_of_the_model_under_the_condition(checkpoint):
    name, folder = checkpoint
    model = tiny_model(name)
    plain = load(folder, kind=HFLM)
    expected = plain.loglikelihood(CHOICES), plain.generate_until(ANSWERS)
    baseline = load(folder)
    assert (baseline.loglikelihood(CHOICES), baseline.generate_until(ANSWERS)) == expected
    seen = [expected]
    for stack in STACKS:
        mask = mask_at(model, ["mlp.act", "attn.q"], stack)
        lm = load(folder, mask, "de:+2")
        scores, answers = lm.loglikelihood(CHOICES), lm.generate_until(ANSWERS)
        assert (scores, answers) not in seen
        seen.append((scores, answers))
        for request, (score, _) in zip(CHOICES, scores, strict=True):
            context, answer = map(lm.tok_encode, request.args)
            ids, labels = torch.tensor([context]), torch.tensor([answer])
            with torch.no_grad(), intervene(model, mask, "de:+2"):
                logits = model(input_ids=ids, labels=labels).logits.log_softmax(-1)
            assert score == pytest.approx(
                logits[0].gather(1, labels[0, :, None]).sum().item(), rel=1e-4
            )
        for request, answer in zip(ANSWERS, answers, strict=True):
            ids = torch.tensor([lm.tok_encode(request.args[0])])
            with intervene(model, mask, "de:+2"):
                generated = model.generate(ids, max_new_tokens=6, do_sample=False, eos_token_id=256)
            text = lm.tok_decode(generated[0], skip_special_tokens=True)
            assert answer.startswith(text.partition("\n")[0])  # lm-eval adds the context's length
        record = lm.get_model_info()["lsn"]
        layers = {layer for counts in record["neurons_per_layer"].values() for layer in counts}
        assert (
            {layer.partition(".")[0] for layer in layers} == {stack} if stack else len(layers) == 4
        )


def test_a_rolling_loglikelihood_is_the_decoders_after_one_token_of_the_encoder(checkpoint):
    name, folder = checkpoint
    model, mask = tiny_model(name), mask_at(tiny_model(name), ["mlp.act"], "decoder")
    lm = load(folder, mask, "de:+2")
    asked = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in TEXTS]
    for text, got in zip(TEXTS, lm.loglikelihood_rolling(asked), strict=True):
        ids, labels = torch.tensor([[lm.prefix_token_id]]), torch.tensor([lm.tok_encode(text)])
        with torch.no_grad(), intervene(model, mask, "de:+2"):
            logits = model(input_ids=ids, labels=labels).logits.log_softmax(-1)
        assert got == pytest.approx(logits[0].gather(1, labels[0, :, None]).sum().item(), rel=1e-4)


@pytest.mark.slow
def test_a_whole_evaluation(checkpoint):
    name, folder = checkpoint
    task = {
        "task": "tiny_choice", "output_type": "multiple_choice", "custom_dataset": lambda **_: {
            "test": Dataset.from_list([{"text": text, "right": n % 2} for n, text in enumerate(TEXTS)])
        },
        "test_split": "test", "doc_to_text": "{{text}}", "doc_to_choice": [" ja", " no"],
        "doc_to_target": "right",
    }  # fmt: skip
    mask = mask_at(tiny_model(name), ["mlp.act"])
    results = lm_eval.simple_evaluate(
        load(folder, mask, "de:zero"), tasks=[task], task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
    )  # fmt: skip
    seen = results["config"]["lsn"]["seen"]["hookpoints"]["mlp.act"]
    assert seen["values_changed"] > 0
    assert 0 <= results["results"]["tiny_choice"]["acc,none"] <= 1


def answers_in_turn(folder, mask, rows, conditions=("none", "de:+2", "de:-1")):
    lm = load(folder, mask, "none")
    answers = []
    for number, condition in enumerate(conditions, 1):
        lm.set_condition(condition)
        lm.stack(conditions[number:], rows)
        answers.append(
            (lm.generate_until(ANSWERS), seen_always(lm.get_model_info()["lsn"]["seen"]))
        )
    return answers


@pytest.mark.slow
def test_conditions_that_share_a_batch_answer_as_alone(checkpoint, caplog):
    name, folder = checkpoint
    mask = mask_at(tiny_model(name), ["mlp.act", "attn.q", "cross.v"])
    alone = answers_in_turn(folder, mask, 0)
    assert answers_in_turn(folder, mask, 64) == alone
    assert "at once failed" not in caplog.text
    assert len({str(answers) for answers, _ in alone}) == 3


def test_what_cannot_share_a_batch_says_so_and_answers_alone(tokenizer, tmp_path, caplog):
    """OPT's MLP sees [token, neuron]: rows cannot be told apart there."""
    folder, mask = saved(tmp_path, "opt", tokenizer), mask_at(tiny_model("opt"), ["mlp.act"])
    alone = answers_in_turn(folder, mask, 0)
    assert "at once failed" not in caplog.text
    assert answers_in_turn(folder, mask, 64) == alone
    assert "cannot generate for several conditions at once; give --stack 0" in caplog.text
