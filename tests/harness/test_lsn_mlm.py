"""`lsn_mlm` on mBERT- and XLM-R-shaped models, beside plain loops over one text and one mask."""

from __future__ import annotations

import functools
import json

import pytest
import torch
import transformers
from builders.architectures import tiny_model
from builders.masked_models import KINDS, masked_model, masked_tokenizer, save_masked
from builders.masks import tiny_mask
from builders.our_tasks import load_task, write_files
from lm_eval.api.instance import Instance

from lsn_eval import intervene
from lsn_eval.errors import LsnError
from lsn_eval.harness import lsn_hf
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.harness.lsn_mlm import LsnMLM

CONDITION = "de:zero/fr:2"
PAIRS = [
    ("anna wurde in", " paris geboren"),
    ("a", " rom"),
    ("", "der stadt von bob"),
    ("bob wurde in der  ", "bern stadt."),
    ("在", "巴黎 生的"),
]


@functools.cache
def tiny(kind):
    tokenizer = masked_tokenizer(kind)
    model = masked_model(kind, tokenizer)
    return model, tokenizer, tiny_mask(model)


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def checkpoint(kind, tmp_path_factory) -> str:
    return save_masked(tmp_path_factory.mktemp(kind), kind)


def load(checkpoint, kind, condition=CONDITION, **options):
    options = {"device": "cpu", "batch_size": 3} | options
    return LsnMLM(checkpoint, mask=tiny(kind)[2], condition=condition, **options)


def requests(kind: str, arguments) -> list[Instance]:
    return [Instance(kind, {}, args, number) for number, args in enumerate(arguments)]


def plain(kind, ids, place, condition=CONDITION, hidden=()):
    """Log-probabilities at one masked place, a text alone in its batch."""
    model, tokenizer, mask = tiny(kind)
    masked = torch.tensor([ids])
    masked[0, [place, *hidden]] = tokenizer.mask_token_id
    with torch.no_grad(), intervene(model, mask, condition):
        return model(masked).logits[0, place].log_softmax(-1)


def plain_score(kind, context, continuation, condition=CONDITION, word=False):
    """Each token of the continuation masked alone, with `word` the rest of its word, too."""
    tokenizer = tiny(kind)[1]
    read = tokenizer(context.rstrip() + " " * (context != context.rstrip()) + continuation)
    ids, words = read["input_ids"], read.word_ids()
    tokens = len(tokenizer(context.rstrip())["input_ids"]) - 1 if context else 1
    total, greedy = 0.0, True
    for place in range(tokens, len(ids) - 1):
        behind = [p for p in range(place + 1, len(ids) - 1) if words[p] == words[place]]
        scores = plain(kind, ids, place, condition, behind if word else ())
        total += scores[ids[place]].item()
        greedy &= scores.argmax().item() == ids[place]
    return total, greedy


@pytest.mark.parametrize("batch_size", [1, "auto"])
def test_pseudo_log_likelihood_equals_a_loop(checkpoint, kind, batch_size):
    lm = load(checkpoint, kind, batch_size=batch_size, max_batch_size=4)
    got = lm.loglikelihood(requests("loglikelihood", PAIRS))
    for (context, continuation), (score, greedy) in zip(PAIRS, got, strict=True):
        expected, best = plain_score(kind, context, continuation)
        assert score == pytest.approx(expected, rel=1e-5)
        assert greedy is best
    other = load(checkpoint, kind, "none").loglikelihood(requests("loglikelihood", PAIRS))
    assert all(abs(a - b) > 1e-3 for (a, _), (b, _) in zip(got, other, strict=True))


def test_the_rest_of_a_word_is_hidden_too_where_it_is_asked_for(checkpoint, kind):
    lm = load(checkpoint, kind, pll="word_l2r")
    got = lm.loglikelihood(requests("loglikelihood", PAIRS))
    expected = [plain_score(kind, *pair, word=True)[0] for pair in PAIRS]
    assert [score for score, _ in got] == pytest.approx(expected, rel=1e-5)
    plainly = [plain_score(kind, *pair)[0] for pair in PAIRS]
    assert expected != pytest.approx(plainly, rel=1e-3)


def test_a_long_text_is_scored_in_pieces_that_fit(checkpoint, kind):
    """40 positions hold 38 tokens beside [CLS] and [SEP], of XLM-R as well."""
    lm = load(checkpoint, kind)
    assert lm.max_length == 40
    texts = ["a b c der stadt " * 12, "paris"]
    got = lm.loglikelihood_rolling(requests("loglikelihood_rolling", [(text,) for text in texts]))
    tokenizer = tiny(kind)[1]
    for text, score in zip(texts, got, strict=True):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        first, last = tokenizer("")["input_ids"]
        expected = 0.0
        for start in range(0, len(ids), 38):
            piece = [first, *ids[start : start + 38], last]
            for place in range(1, len(piece) - 1):
                expected += plain(kind, piece, place)[piece[place]].item()
        assert score == pytest.approx(expected, rel=1e-5)


def test_a_context_that_does_not_fit_is_cut_on_its_left(checkpoint, kind):
    lm = load(checkpoint, kind)
    ((score, _),) = lm.loglikelihood(requests("loglikelihood", [("a b c " * 20, "paris")]))
    tokenizer = tiny(kind)[1]
    ids = tokenizer("a b c " * 20 + "paris")["input_ids"]
    kept = [ids[0], *ids[-39:]]
    assert score == pytest.approx(plain(kind, kept, 38)[kept[38]].item(), rel=1e-5)
    with pytest.raises(LsnError, match="cannot be scored with a context of 40"):
        lm.loglikelihood(requests("loglikelihood", [("a", " paris" * 50)]))


def test_blanks_are_filled_with_the_best_token_of_every_mask(checkpoint, kind):
    lm = load(checkpoint, kind)
    texts = ["anna wurde in [Y] geboren.", "[Y] von der stadt", "在[Y]生。"]
    asked = [(text, {"fill_masks": masks}) for text in texts for masks in (1, 2, 3)]
    tokenizer = tiny(kind)[1]
    for (text, options), filled in zip(asked, lm.generate_until(requests("x", asked)), strict=True):
        masks = options["fill_masks"]
        ids = tokenizer(text.replace("[Y]", " ".join([tokenizer.mask_token] * masks)))["input_ids"]
        places = [place for place, id in enumerate(ids) if id == tokenizer.mask_token_id]
        best = [plain(kind, ids, place).argmax().item() for place in places]
        assert filled == " ".join(tokenizer.convert_ids_to_tokens(best))
        assert len(best) == masks


def test_a_token_that_the_tokenizer_has_no_name_for_is_unknown():
    tokenizer = masked_tokenizer("bert")
    model = masked_model("bert", tokenizer)
    model.resize_token_embeddings(len(tokenizer) + 7)
    model.cls.predictions.decoder.bias.data[-3] = 1000
    lm = LsnMLM(model, tokenizer=tokenizer, condition="none", device="cpu", batch_size=2)
    assert lm.generate_until(requests("x", [("a [Y]", {"fill_masks": 2})])) == ["[UNK] [UNK]"]


def test_what_was_done_is_proven_and_recorded(checkpoint, kind):
    lm = load(checkpoint, kind)
    lm.loglikelihood(requests("loglikelihood", PAIRS[:2]))
    record = lm.get_model_info()["lsn"]
    assert record["condition"] == CONDITION
    assert "condition:de:zero/fr:2" in record["signature"]
    (seen,) = record["seen"]["hookpoints"].values()
    assert seen["values_overwritten"] > 0
    assert 0 < seen["values_changed"] <= seen["values_overwritten"]


def test_it_writes_no_text(checkpoint, kind):
    with pytest.raises(LsnError, match="writes no text"):
        load(checkpoint, kind).generate_until(requests("x", [("a", {"until": ["\n"]})]))
    with pytest.raises(LsnError, match="reads from left to right"):
        load(checkpoint, kind)._loglikelihood_tokens([(None, [1], [2])])


def test_a_masked_model_under_lsn_hf_is_warned_about(checkpoint, monkeypatch):
    said = []
    monkeypatch.setattr(lsn_hf.logger, "warning", lambda text, *of: said.append(text % of))
    LsnHF(checkpoint, condition="none", device="cpu", prefix_token_id=2)
    assert "use --model lsn_mlm" in said[0]


def test_tasks_count_the_tokens_that_are_scored(checkpoint, kind, tmp_path):
    """A token perplexity divides by tokens without [CLS] and [SEP]."""
    rows = [{"id": str(n), "text": "paris in der stadt " * 30} for n in range(40)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_files(tmp_path, {"wikipedia/de.jsonl": text})
    task = load_task("lsn_wikippl_de", data_root=str(tmp_path), pretrained=checkpoint)
    task.introduce(load(checkpoint, kind))
    doc = task.dataset["test"][0]
    ids = tiny(kind)[1](doc["text"], add_special_tokens=False)["input_ids"]
    assert doc["tokens"] == len(ids)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda kind: tiny_model("llama"), "LlamaForCausalLM, which has no head that fills masks"),
        (lambda kind: masked_model(kind, masked_tokenizer(kind)).base_model, "no head that fills"),
    ],
)
def test_a_model_that_fills_no_masks_is_refused(kind, given, message):
    with pytest.raises(LsnError, match=message):
        LsnMLM(given(kind), tokenizer=masked_tokenizer(kind), condition="none")


def test_a_checkpoint_without_a_head_is_refused_before_one_is_made_up(kind, tmp_path):
    tokenizer = tiny(kind)[1]
    masked_model(kind, tokenizer).base_model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(LsnError, match="no head that fills masks"):
        LsnMLM(str(tmp_path), condition="none", device="cpu")


def test_another_score_and_a_tokenizer_without_masks_are_refused(checkpoint, kind, tokenizer):
    with pytest.raises(LsnError, match="one of original, word_l2r was expected"):
        LsnMLM(checkpoint, condition="none", pll="l2r")
    with pytest.raises(LsnError, match="needs a fast tokenizer with a mask token"):
        LsnMLM(checkpoint, condition="none", device="cpu", tokenizer=tokenizer)
    assert isinstance(tokenizer, transformers.PreTrainedTokenizerFast)
