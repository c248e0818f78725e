"""`lsn-eval models`: the table of types, and one model by its configuration alone."""

from __future__ import annotations

import ast
import json

import pytest
import write_model_docs
from builders.any_type import any_config
from builders.architectures import tiny_config
from builders.commands import printed, refused

from lsn_eval.models.families import FAMILIES, REFUSED


def test_the_documentation_of_the_models_is_up_to_date():
    page = write_model_docs.TARGET.read_text("utf-8")
    assert page == write_model_docs.document(), "run: python scripts/write_model_docs.py"
    said = (write_model_docs.TARGET.parents[1] / "README.md").read_text("utf-8")
    assert f"**Models.** {len(FAMILIES)} types" in said


def test_list_has_every_type():
    words = printed("models", "list").replace(",", " ").split()
    assert {*FAMILIES, *REFUSED} <= set(words)
    rows = {row["type"]: row for row in json.loads(printed("models", "list", "--json"))}
    fused = {"gate": "fused", "attention": "fused"}
    assert rows["phi3"] == {"type": "phi3", "kind": "decoder", **fused}
    assert rows["t5"]["gate"] == "none or apart"
    assert rows["t5"]["attention"] == "apart and cross"
    assert rows["xlm-roberta"]["kind"] == "encoder"
    assert rows["gpt_oss"]["kind"] == "decoder, experts"
    assert rows["deepseek_v3"]["kind"] == "decoder, experts and a shared one"
    assert "experts" in rows["dbrx"]["reason"]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("phi3", ["attn.k 0 to 1 16 output of model.layers.N.self_attn.qkv_proj (16 of 64)"]),
        ("opt", ["mlp.down_in 0 to 1 48 input of model.decoder.layers.N.fc2"]),
        (
            "bart",
            [
                "layers 4: encoder.0 to decoder.1",
                "mlp.act encoder.0 to encoder.1 48 output of model.encoder.layers.N.activation_fn",
                "cross.q decoder.0 to decoder.1 32 output of "
                "model.decoder.layers.N.encoder_attn.q_proj",
            ],
        ),
    ],
)
def test_inspect_reads_the_configuration_alone(name, lines, tmp_path):
    tiny_config(name).save_pretrained(tmp_path)
    shown = [" ".join(line.split()) for line in printed("models", "inspect", tmp_path).splitlines()]
    for line in lines:
        assert line in shown
    described = json.loads(printed("models", "inspect", tmp_path, "--json"))
    assert described["type"] == name
    site = described["hookpoints"]["mlp.act"][described["layers"][0]]
    assert (site["side"], site["width"], site["part"]) == ("output", 48, None)


def test_inspect_of_another_type_shows_the_row_to_add_or_to_fill_in(tmp_path):
    any_config("ctrl").save_pretrained(tmp_path / "ctrl")
    shown = printed("models", "inspect", tmp_path / "ctrl")
    assert "resolved by structure; the row to add to FAMILIES" in shown
    _, _, row = next(line for line in shown.splitlines() if '"ctrl": (' in line).partition(": ")
    (stack,) = ast.parse(row.rstrip(","), mode="eval").body.elts
    said = {entry.arg: entry.value for entry in stack.keywords}
    assert stack.func.id == "Stack"
    values = [ast.literal_eval(said[name]) for name in ("layers", "act", "down")]
    assert values == [("transformer.h",), "ffn.1", "ffn.2"]
    described = json.loads(printed("models", "inspect", tmp_path / "ctrl", "--json"))
    assert described["resolved"] == "structure"
    assert described["hookpoints"]["attn.o"]["1"]["module"].endswith("multi_head_attention.dense")
    any_config("rwkv").save_pretrained(tmp_path / "rwkv")
    said = refused("models", "inspect", tmp_path / "rwkv")
    assert '"rwkv": (Stack(layers=("rwkv.blocks",), act=...' in said
    assert "cannot be loaded" in refused("models", "inspect", tmp_path / "nothing")
