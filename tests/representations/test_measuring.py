"""What layers hold, against plain loops over single sentences without padding."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from builders.architectures import tiny_model
from builders.masks import hooks_of, tiny_mask

from lsn_eval import LsnError, intervene
from lsn_eval.comparing.paired import Draws
from lsn_eval.representations import LayerMeasures, measure_layers
from lsn_eval.representations.hidden_states import HiddenStates

TEXTS = {
    "de": ["Ein Hund.", "Der zweite Satz ist viel länger als der erste.", "Drei?", "Und der vierte."],
    "fr": ["Un chien.", "La deuxième phrase.", "Trois points d'exclamation !", "Et puis la quatrième."],
    "vi": ["Một con chó.", "Câu thứ hai dài hơn nhiều.", "Ba.", "Còn đây là câu thứ tư, câu cuối cùng."],
}  # fmt: skip
NORMALISATION = {
    "llama": "model.norm", "gpt2": "transformer.ln_f", "opt": "model.decoder.final_layer_norm",
    "gemma3": "model.language_model.norm", "bert": None,
}  # fmt: skip
DRAWS = Draws(resamples=200)
CONTROLLED = ["none", "de:zero", "random1-de:zero"]


def decoded(model, name: str, state: torch.Tensor, *, last: bool) -> torch.Tensor:
    """Logits of a hidden state [position, hidden], by modules named here."""
    if NORMALISATION[name] and not last:
        state = model.get_submodule(NORMALISATION[name])(state)
    return model.cls(state) if name == "bert" else model.get_output_embeddings()(state)


class Loop:
    """The definitions once more: a sentence at a time, a number at a time."""

    def __init__(self, model, name, tokenizer, pooling="mean"):
        self.ids = {x: [tokenizer(text)["input_ids"] for text in of] for x, of in TEXTS.items()}
        self.states: dict[str, list[list[np.ndarray]]] = {}
        self.probabilities: dict[str, list[list[np.ndarray]]] = {}
        with torch.no_grad():
            for language, sentences in self.ids.items():
                seen = [
                    model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
                    for ids in sentences
                ]
                at = slice(-1, None) if pooling == "last" else slice(None)
                self.states[language] = [
                    [state[0, at].double().mean(0).numpy() for state in of] for of in seen
                ]
                self.probabilities[language] = [
                    [
                        decoded(model, name, s[0], last=s is of[-1]).double().softmax(-1).numpy()
                        for s in of
                    ]
                    for of in seen
                ]

    def similarity(self, a: str, b: str, layer: int) -> tuple[float, float]:
        return self._paired(
            [of[layer] for of in self.states[a]], [of[layer] for of in self.states[b]]
        )

    def dominance(self, a: str, b: str, layer: int) -> tuple[float, float]:
        one, other = ([of[layer] for of in self.states[x]] for x in (a, b))
        shift = sum(other) / len(other) - sum(one) / len(one)
        return self._paired([state + shift for state in one], other)

    @staticmethod
    def _paired(one, other) -> tuple[float, float]:
        """Mean over translations, and over every two sentences that are none."""

        def cosine(x, y):
            return sum(x * y) / math.sqrt(sum(x * x)) / math.sqrt(sum(y * y))

        each = [[cosine(x, y) for y in other] for x in one]
        count = len(one)
        apart = [each[i][j] for i in range(count) for j in range(count) if i != j]
        return sum(each[i][i] for i in range(count)) / count, sum(apart) / len(apart)

    def lens(self, text: str, language: str, layer: int) -> float:
        frequencies = {}
        for x, sentences in self.ids.items():
            tokens = [token for sentence in sentences for token in sentence]
            frequencies[x] = {token: tokens.count(token) / len(tokens) for token in set(tokens)}
        shares = []
        for of in self.probabilities[text]:
            positions = []
            for position in of[layer]:
                share = 0.0
                for token, frequency in frequencies[language].items():
                    total = sum(f.get(token, 0.0) for f in frequencies.values())
                    share += position[token] * frequency / total
                positions.append(share)
            shares.append(sum(positions) / len(positions))
        return sum(shares) / len(shares)


def assert_equals(measures: LayerMeasures, condition: str, loop: Loop) -> None:
    """Every number of a condition."""
    seen = {"similarity": 0, "dominance": 0, "lens": 0}
    for record in measures.records:
        if record["condition"] != condition or record["row"] == "all":
            continue
        where = record["row"], record["column"], measures.layers.index(record["layer"])
        seen[record["quantity"]] += 1
        expected = getattr(loop, record["quantity"])(*where)
        if record["quantity"] == "lens":
            assert record["value"] == pytest.approx(expected, abs=1e-5)
        else:
            assert (record["value"], record["control"]) == pytest.approx(expected, abs=1e-5)
    layers = len(measures.layers)
    assert seen == {"similarity": 3 * layers, "dominance": 6 * layers, "lens": 9 * layers}


@pytest.mark.parametrize("name", NORMALISATION)
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_every_number_of_every_layer_is_that_of_a_plain_loop(name, pooling, tokenizer):
    model = tiny_model(name)
    measures = measure_layers(model, TEXTS, tokenizer, pooling=pooling, batch_size=3, draws=DRAWS)
    assert measures.layers == ("embeddings", "0", "1")
    assert_equals(measures, "none", Loop(model, name, tokenizer, pooling))


def test_under_a_condition_too_and_the_model_is_left_as_it_was(tokenizer):
    model = tiny_model("llama")
    mask = tiny_mask(model)
    model(input_ids=torch.tensor([[3]]), output_hidden_states=True)  # transformers keeps its own
    hooks = hooks_of(model)
    measures = measure_layers(
        model, TEXTS, tokenizer, mask=mask, conditions=CONTROLLED, batch_size=2, draws=DRAWS
    )
    assert hooks_of(model) == hooks
    for condition in CONTROLLED:
        with intervene(model, mask, condition):
            assert_equals(measures, condition, Loop(model, "llama", tokenizer))
    values = {
        condition: {(r["quantity"], r["layer"], r["row"], r["column"]): r for r in measures.records
                    if r["condition"] == condition}
        for condition in CONTROLLED
    }  # fmt: skip
    for at, record in values["de:zero"].items():
        assert record["change"] == pytest.approx(record["value"] - values["none"][at]["value"])
        assert record["change_low"] <= record["change"] <= record["change_high"]
        assert "change" not in values["none"][at]
    assert any(abs(r["change"]) > 1e-3 for r in values["de:zero"].values())
    assert measures.about["conditions"]["de:zero"]["seen"]["hookpoints"]["mlp.act"][
        "values_changed"
    ]
    for condition in CONTROLLED:
        assert f"|condition:{condition}|" in measures.signature(condition)
        assert "|data:parallel:" in measures.signature(condition)


def test_numbers_do_not_depend_on_the_batch_size_and_follow_the_texts(tokenizer):
    model = tiny_model("gpt2")
    one, three = (
        measure_layers(model, TEXTS, tokenizer, batch_size=size, draws=DRAWS) for size in (1, 3)
    )
    for a, b in zip(one.records, three.records, strict=True):
        assert {k: v for k, v in a.items() if isinstance(v, str)} == {
            k: v for k, v in b.items() if isinstance(v, str)
        }
        assert a["value"] == pytest.approx(b["value"], abs=1e-5)
        assert a["low"] == pytest.approx(b["low"], abs=1e-5)
    other = measure_layers(
        model, {**TEXTS, "vi": TEXTS["vi"][::-1]}, tokenizer, lens=False, draws=DRAWS
    )
    assert other.signature("none") != one.signature("none")
    assert {r["quantity"] for r in other.records} == {"similarity", "dominance"}


def test_translations_that_are_the_same_text_are_alike_and_above_the_control(tokenizer):
    same = {"de": TEXTS["de"], "xx": TEXTS["de"]}
    measures = measure_layers(tiny_model("llama"), same, tokenizer, draws=DRAWS)
    for record in measures.records:
        if record["quantity"] != "lens":
            assert record["value"] == pytest.approx(1, abs=1e-6)
            assert record["low"] == pytest.approx(1, abs=1e-6)
            assert record["control"] < 1
            assert record["above_low"] > 0
        else:  # whose tokens they are cannot be told
            assert record["value"] == pytest.approx(record["control"], abs=1e-6)


def test_the_control_of_the_lens_has_the_probability_of_all_tokens_that_occur(tokenizer):
    measures = measure_layers(tiny_model("llama"), TEXTS, tokenizer, draws=DRAWS)
    sums: dict[tuple[str, str], list[float]] = {}
    for record in measures.of("lens", "none"):
        total = sums.setdefault((record["layer"], record["row"]), [0.0, 0.0])
        total[0] += record["value"]
        total[1] += record["control"]
    for value, control in sums.values():
        assert value == pytest.approx(control, abs=1e-5)
        assert 0 < value < 1


def test_an_output_head_that_scales_is_the_models_own(tokenizer):
    """Its logits, not the product with the matrix alone, are what a layer decodes to."""
    model = tiny_model("gemma2")
    model.config.final_logit_softcapping = 0.5
    states = HiddenStates(model)
    ids = torch.tensor([tokenizer(TEXTS["de"][1])["input_ids"]])
    with torch.no_grad():
        logits = states.head()(states.of(ids, None)[-1][0], normalised=True)
        assert torch.equal(logits, model(input_ids=ids).logits[0])
    assert logits.abs().max() <= 0.5


def test_what_cannot_be_decoded_is_refused_and_measured_without_the_lens(tokenizer):
    model = tiny_model("llama")
    model.lm_head.register_forward_pre_hook(lambda module, args: (args[0] + torch.rand(1),))
    with pytest.raises(LsnError, match=r"other logits than the model; .*--no-lens"):
        measure_layers(model, TEXTS, tokenizer, draws=DRAWS)
    assert measure_layers(model, TEXTS, tokenizer, lens=False, draws=DRAWS).records


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"de": ["a", "b"], "fr": ["c"]}, "as many sentences each, these have: de 2, fr 1"),
        ({"de": ["a", " "], "fr": ["c", "d"]}, "the texts of de, line 2 is blank"),
        ({"de": ["a", "b"]}, "at least 2 languages of 2"),
        ({"de": ["a"], "fr": ["c"]}, "at least 2 languages of 2"),
        ({"all": ["a", "b"], "fr": ["c", "d"]}, "'all' stands for all pairs"),
        ({"de": ["a", "b" * 999], "fr": ["c", "d"]}, "sentence 2 of de has 999 tokens"),
        ({"de": "nowhere.txt", "fr": ["c"]}, "nowhere.txt: a file with a sentence in every line"),
    ],
)
def test_texts_that_are_not_parallel_are_refused(texts, said, tokenizer):
    with pytest.raises(LsnError, match=said):
        measure_layers(tiny_model("llama"), texts, tokenizer)


def test_a_model_of_two_stacks_and_a_condition_without_a_mask_are_refused(tokenizer):
    with pytest.raises(LsnError, match="bart is an encoder-decoder"):
        measure_layers(tiny_model("bart"), TEXTS, tokenizer)
    with pytest.raises(LsnError, match="'de:zero' was given without a mask"):
        measure_layers(tiny_model("llama"), TEXTS, tokenizer, conditions=["de:zero"])
    with pytest.raises(LsnError, match="each once"):
        measure_layers("nowhere", TEXTS, tokenizer, conditions=["de:zero", "de:0"])


def test_numbers_that_are_none_are_refused_and_how_sentences_are_pooled_is_told(tokenizer):
    model = tiny_model("llama")
    signatures = {
        measure_layers(model, TEXTS, tokenizer, pooling=of, lens=False, draws=DRAWS).signature(
            "none"
        )
        for of in ("mean", "last")
    }
    assert len(signatures) == 2
    with pytest.raises(LsnError, match="mean or last"):
        measure_layers(model, TEXTS, tokenizer, pooling="max")
    model.model.layers[1].mlp.up_proj.weight.data[0, 0] = math.nan
    with pytest.raises(LsnError, match=r"layer 1 are no finite numbers"):
        measure_layers(model, TEXTS, tokenizer, lens=False)


@pytest.fixture(scope="module")
def measured(tokenizer) -> LayerMeasures:
    return measure_layers(tiny_model("llama"), TEXTS, tokenizer, draws=DRAWS)


def test_a_file_gives_back_what_was_measured(measured, tmp_path):
    measured.save(tmp_path / "layers.json")
    read = LayerMeasures.load(tmp_path / "layers.json")
    assert list(read.records) == list(measured.records)
    assert read.signature("none") == measured.signature("none")
    assert read.about["notes"] == ["Intervals of 4 sentences, fewer than 30, are too short."]
    np.testing.assert_array_equal(read.matrix("lens", "none"), measured.matrix("lens", "none"))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("format",), 2, "another format"),
        (("languages",), ["de"], "row is 'fr'|column is 'fr'"),
        (("records", 0, "value"), "much", "records 1: value"),
        (("records", 0, "layer"), "9", "layer is '9'"),
        (("conditions",), {}, "condition is 'none'"),
        (("conditions", "none", "signature"), 1, "signature"),
        (("records",), 7, "records"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(measured, tmp_path, place, value, said):
    path = tmp_path / "layers.json"
    measured.save(path)
    document = json.loads(path.read_text("utf-8"))
    *outer, name = place
    inside = document
    for step in outer:
        inside = inside[step]
    inside[name] = value
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(LsnError, match=said):
        LayerMeasures.load(path)
