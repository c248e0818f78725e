"""Neurons of facts: activations and rankings beside a plain loop over one text at a time."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model
from builders.commands import invoke, refused
from builders.facts import prediction, write_facts
from builders.masked_models import KINDS, LAYERS, WIDTH, masked_model, masked_tokenizer, save_masked
from builders.masks import hooks_of

from lsn_eval.facts.neurons import FactNeurons

TEXTS = {
    "de": ["anna in [Y]", "bob wurde in [Y] geboren", "c von [Y]"],
    "zh": ["安在[Y]生", "c在[Y]", "[Y]的 b"],
}


def filled(model, tokenizer, text, masks):
    ids = tokenizer(
        text.replace("[Y]", " ".join([tokenizer.mask_token] * masks)), return_tensors="pt"
    )
    at = (ids["input_ids"][0] == tokenizer.mask_token_id).nonzero()[:, 0].tolist()
    with torch.no_grad():
        best = model(**ids).logits[0, at].argmax(-1)
    return ids, at, tokenizer.convert_ids_to_tokens(best)


def known(model, tokenizer, language):
    """Facts whose object is what one or two masks are filled with, and one that is not known."""
    facts = []
    for number, text in enumerate(TEXTS[language]):
        fillings = [" ".join(filled(model, tokenizer, text, masks)[2]) for masks in (1, 2)]
        thing = fillings[number % 2]
        facts.append(prediction(f"u{number}", thing, *fillings, text=text))
    unknown = prediction("no", "paris geboren", "a", "b c", text="anna in [Y]")
    return [*facts, unknown, prediction("alone", *["x"] * 2, relation="P2", text="a in [Y]")]


def mean_outputs(model, ids, modules, places):
    """What modules give for one text, the mean over places, one after the other."""
    seen = {}
    handles = [
        module.register_forward_hook(lambda _, args, out, at=at: seen.update({at: out}))
        for at, module in enumerate(modules)
    ]
    with torch.no_grad():
        model(**ids)
    for handle in handles:
        handle.remove()
    return torch.cat([values[0, list(places)].mean(0) for values in seen.values()]).numpy()


def plain_activations(model, tokenizer, fact, positions):
    masks = [" ".join(filling) for filling in fact.fillings].index(fact.object) + 1
    ids, at, _ = filled(model, tokenizer, fact.text, masks)
    layers = (model.bert if hasattr(model, "bert") else model.roberta).encoder.layer
    places = at if positions == "mask" else range(1, ids["input_ids"].shape[1] - 1)
    return mean_outputs(model, ids, [layer.intermediate for layer in layers], places)


@pytest.mark.parametrize("positions", ["mask", "tokens"])
@pytest.mark.parametrize("kind", KINDS)
def test_rankings_equal_a_plain_loop(kind, positions):
    tokenizer = masked_tokenizer(kind)
    model = masked_model(kind, tokenizer)
    ranker = FactNeurons(model, tokenizer, positions=positions, most=10, batch_size=2)
    assert ranker.names[0] == ("mlp.act", "0", 0)
    assert ranker.names[WIDTH + 3] == ("mlp.act", "1", 3)
    assert len(ranker.names) == LAYERS * WIDTH
    for language in TEXTS:
        facts = known(model, tokenizer, language)
        ranked = {fact.uuid: found for fact, *found in ranker.rank(facts)}
        assert list(ranked) == ["u0", "u1", "u2"]
        means = np.stack([plain_activations(model, tokenizer, f, positions) for f in facts[:3]])
        np.testing.assert_allclose(ranker.activations(facts[:3]), means, atol=1e-5)
        for label in range(3):
            score = sum(np.abs(means[label] - means[other]) for other in range(3)) / 2
            neurons, scores = ranked[f"u{label}"]
            np.testing.assert_allclose(scores, np.sort(score)[::-1][:10], atol=1e-5)
            assert neurons.tolist() == np.argsort(-score, kind="stable")[:10].tolist()
    assert hooks_of(model) == 0


def test_a_model_that_continues_is_read_at_the_last_token_before_the_blank(tokenizer):
    model = tiny_model("llama")
    facts = [
        prediction(name, "x", "x", text=f"{name} in [Y].", fillings=()) for name in ("a", "bob")
    ]
    got = FactNeurons(model, tokenizer, most=5).activations(facts)
    for text, mean in zip(("a in", "bob in"), got, strict=True):
        modules = [layer.mlp.act_fn for layer in model.model.layers]
        expected = mean_outputs(model, tokenizer(text, return_tensors="pt"), modules, [-1])
        np.testing.assert_allclose(mean, expected, atol=1e-5)


def test_the_command_writes_rankings_and_compares_languages(tmp_path):
    checkpoint = save_masked(tmp_path / "model", "bert")
    tokenizer = masked_tokenizer("bert")
    model = masked_model("bert", tokenizer)
    results = write_facts(tmp_path / "r", {at: known(model, tokenizer, at) for at in TEXTS})
    out = tmp_path / "n.jsonl"
    words = ["facts", "neurons", results, "--model", checkpoint, "--rankings", out, "--top", "7"]
    shown = json.loads(invoke(*words, "--json").stdout)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    tops = {(line["language"], line["uuid"]): {*map(tuple, line["neurons"])} for line in lines}
    assert len(tops) == 6
    shares = [
        len(tops["de", u] & tops["zh", u]) / len(tops["de", u] | tops["zh", u])
        for u in ("u0", "u1", "u2")
    ]
    expected = {"value": pytest.approx(sum(shares) / 3), "facts": 3}
    assert shown == [
        {"language": "de", "other": "zh"} | expected, {"language": "zh", "other": "de"} | expected,
    ]  # fmt: skip
    assert "is there already" in refused(*words)
    assert "mask or tokens was expected" in refused(*words, "--force", "--positions", "all")
    assert "fewer than the model's 96" in refused(*words[:-1], "96", "--force")
    save_masked(tmp_path / "small", "bert", positions=4)
    others = {"lsn_demo": "no tokens of this model", str(tmp_path / "small"): "tokens; 4 fit"}
    for other, said in others.items():
        words[4] = other
        assert said in refused(*words, "--force")
    under = write_facts(tmp_path / "z", {"de": known(model, tokenizer, "de")}, condition="de:zero")
    words[2] = under
    assert "model as it is" in refused(*words, "--force", "--condition", "de:zero")
    assert [json.loads(line) for line in out.read_text().splitlines()] == lines
