"""`lsn_mlama_*` through lm-eval, beside plain loops: of masked models and of one that continues."""

from __future__ import annotations

import itertools
import logging
from types import SimpleNamespace

import lm_eval
import pytest
import torch
from builders.architectures import tiny_model
from builders.masked_models import KINDS, masked_model, masked_tokenizer
from builders.masks import tiny_mask
from builders.mlama import FACTS, TEMPLATES, write_mlama
from builders.our_tasks import load_task, task_manager, write_files

from lsn_eval import intervene
from lsn_eval.errors import LsnError
from lsn_eval.harness import plugin
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.harness.lsn_mlm import LsnMLM

CONDITION = "de:zero"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_mlama(tmp_path_factory.mktemp("mlama"))


def evaluated(lm, root):
    plugin.register()
    return lm_eval.simple_evaluate(
        lm,
        tasks=["lsn_mlama_de", "lsn_mlama_zh"],
        task_manager=task_manager("mlama", data_root=str(root)),
        bootstrap_iters=0,
        log_samples=True,
    )


def facts(language):
    """Identity, text with its blank, and object; as the builder has them."""
    german = language == "de"
    for relation, template in TEMPLATES[language].items():
        for number, fact in enumerate(FACTS[relation]):
            if german or (relation, number) != ("P36", 1):
                subject, thing = (fact[0], fact[1]) if german else (fact[2], fact[3])
                yield f"{relation}-{number}", template.replace("[X]", subject), thing


def expected_of_fillings(model, tokenizer, language):
    """By fact the four metrics, every text alone in its batch."""
    every = {}
    longest = {
        relation: max(len(tokenizer.tokenize(thing)) for _, _, thing in group)
        for relation, group in itertools.groupby(facts(language), lambda fact: fact[0][:3])
    }
    for identity, text, thing in facts(language):
        gold = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(thing))
        space = tokenizer.convert_tokens_to_ids("▁")
        fillings = []
        for masks in range(1, longest[identity[:3]] + 1):
            marks = " ".join([tokenizer.mask_token] * masks)
            ids = tokenizer(text.replace("[Y]", marks), return_tensors="pt")["input_ids"]
            with torch.no_grad():
                best = model(ids).logits[0].argmax(-1)
            fillings.append(best[ids[0] == tokenizer.mask_token_id].tolist())
        bare = [token for token in gold if token != space]
        fill = [[token for token in filling if token != space] for filling in fillings]
        every[identity] = {
            "full_match": float(any(filling == bare for filling in fill)),
            "exact_match": float(fillings[len(gold) - 1] == gold),
            "partial_match": float(any(all(t in filling for t in bare) for filling in fill)),
            "one_token": float(fill[0] == bare) if len(bare) == 1 else None,
        }
    return every


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_facts_of_a_masked_model_equal_a_plain_loop_under_a_condition(kind, root):
    tokenizer = masked_tokenizer(kind)
    model = masked_model(kind, tokenizer, favour=6.0)
    mask = tiny_mask(model)
    lm = LsnMLM(model, tokenizer=tokenizer, mask=mask, condition=CONDITION, batch_size=3)
    found = evaluated(lm, root)
    got, plainly = {}, {}
    for language in ("de", "zh"):
        samples = found["samples"][f"lsn_mlama_{language}"]
        with intervene(model, mask, CONDITION):
            expected = expected_of_fillings(model, tokenizer, language)
        plainly |= expected_of_fillings(model, tokenizer, language)
        assert len(samples) == len(expected)
        for sample in samples:
            of = {name: sample.get(name) for name in expected["P19-0"]}
            assert of == expected[sample["doc"]["uuid"]]
            got[language, sample["doc"]["uuid"]] = of
        for name, value in found["results"][f"lsn_mlama_{language}"].items():
            metric, comma, _ = name.partition(",")
            if comma and metric in expected["P19-0"]:
                values = [of[metric] for of in expected.values() if of[metric] is not None]
                assert value == pytest.approx(sum(values) / len(values))
    assert len({tuple(of.values()) for of in got.values()}) > 1, "nothing is matched, or all is"
    assert found["config"]["lsn"]["condition"] == CONDITION
    assert found["config"]["lsn"]["seen"]["hookpoints"]


@pytest.mark.slow
def test_facts_of_a_model_that_continues_equal_a_plain_loop(root, tokenizer, caplog):
    """An object is known where greedy decoding gives its tokens; a blank before its subject, as in
    one German template, cannot be asked about."""
    model = tiny_model("llama")
    mask = tiny_mask(model)
    letters = tokenizer("paris rom")["input_ids"]
    with torch.no_grad():
        model.lm_head.weight[letters] *= 4
    lm = LsnHF(model, tokenizer=tokenizer, mask=mask, condition=CONDITION, batch_size=3)
    with caplog.at_level(logging.WARNING, "lsn_eval"):
        found = evaluated(lm, root)
    assert "lsn_mlama_de: 2 of 5 facts name their subject behind their object" in caplog.text
    checked = 0
    for language in ("de", "zh"):
        by_uuid = {s["doc"]["uuid"]: s for s in found["samples"][f"lsn_mlama_{language}"]}
        for identity, text, thing in facts(language):
            if text.startswith("[Y]"):
                assert identity not in by_uuid
                continue
            before = text.partition("[Y]")[0].rstrip()
            space = text.partition("[Y]")[0][len(before) :]
            gold = tokenizer(space + thing)["input_ids"]
            ids = tokenizer(before, return_tensors="pt")["input_ids"]
            sample = by_uuid[identity]
            with torch.no_grad(), intervene(model, mask, CONDITION):
                for _ in range(sample["doc"]["most_tokens"]):
                    ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], 1)
            new = ids[0, len(tokenizer(before)["input_ids"]) :].tolist()
            assert sample["full_match"] == float(new[: len(gold)] == gold)
            within = thing in tokenizer.decode(new)
            assert sample["partial_match"] == float(within or sample["full_match"])
            checked += 1
    assert checked == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"templates.jsonl": '{"relation": "P19", "template": "[X] in"}'},
            r"one \[X\] and one \[Y\]",
        ),
        ({"P19.jsonl": '{"uuid": "a", "sub_label": "b"}'}, "obj_label"),
        ({"P19.jsonl": "{"}, "line 1"),
        ({"P19.jsonl": "", "P36.jsonl": ""}, "no facts at all"),
    ],
)
def test_damaged_files_are_named(tmp_path, change, message):
    write_mlama(tmp_path)
    write_files(tmp_path / "mlama1.1" / "de", change)
    with pytest.raises(LsnError, match=message):
        load_task("lsn_mlama_de", data_root=str(tmp_path))


def test_what_cannot_be_asked_is_refused(root, tmp_path):
    with pytest.raises(LsnError, match=r"templates\.jsonl does not exist; get mlama1\.1\.zip"):
        load_task("lsn_mlama_fr", data_root=str(root))
    task = load_task("lsn_mlama_de", data_root=str(root))
    with pytest.raises(LsnError, match="was not told which model answers"):
        task.build_all_requests()
    with pytest.raises(LsnError, match="no tokenizer"):
        task.introduce(SimpleNamespace(tokenizer=None))
    with pytest.raises(LsnError, match="asks with the text alone"):
        task.fewshot_context({"text": "a [Y]"}, 2)
    with pytest.raises(LsnError, match="--cache_requests"):
        task.build_all_requests(cache_requests=True)
