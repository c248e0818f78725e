"""A model is loaded as what it is: decoder, encoder, or both."""

from __future__ import annotations

import pytest
import torch
import transformers
from builders.architectures import saved_model, tiny_config

from lsn_eval.errors import LsnError
from lsn_eval.models.loading import auto_class, check_device, empty_model, load_model


@pytest.mark.parametrize("name", ["bart", "bert", "deberta-v2", "llama"])
def test_weights_are_those_that_were_saved(name, tokenizer, tmp_path):
    saved = saved_model(tmp_path, name)
    tokenizer.save_pretrained(tmp_path)
    loaded, words = load_model(tmp_path, device="cpu")
    assert type(loaded) is type(saved) is type(empty_model(str(tmp_path)))
    assert len(words) == len(tokenizer)
    weights = saved.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in loaded.state_dict().items())


def test_a_bert_that_does_not_say_what_it_is_made_for_is_a_decoder_as_for_lm_eval():
    assert auto_class(tiny_config("bert")) is transformers.AutoModelForCausalLM


def test_an_empty_model_has_no_weights(tmp_path):
    tiny_config("t5:gated").save_pretrained(tmp_path)
    assert {weight.device.type for weight in empty_model(str(tmp_path)).parameters()} == {"meta"}


def test_devices_that_are_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check_device("cpu")
    check_device(None)
    with pytest.raises(LsnError, match="finds none of the kind cuda here; give another --dev"):
        check_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_device("cuda")
    check_device("cuda:1")
    with pytest.raises(LsnError, match="'cuda:2', and PyTorch finds 2 of the kind cuda"):
        check_device("cuda:2")
