"""`lsn-eval layers` on the embedded model and the example's texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from builders.commands import printed, refused

TEXTS = Path(__file__).resolve().parents[2] / "examples" / "parallel"
LAYERS = ("layers", "--model", "lsn_demo", "--dtype", "float32", "--device", "cpu", "--no-progress")
GIVEN = ",".join(f"{language}={TEXTS / language}.txt" for language in ("de", "ru", "zh"))


@pytest.mark.slow
def test_it_measures_every_condition_and_switched_off_german_is_less_german(tmp_path):
    out = tmp_path / "layers.json"
    shown = printed(
        *LAYERS, "--texts", GIVEN, "--mask", "demo/planted", "--limit", 12,
        "--conditions", "none,de:zero,random1-de:zero", "--out", out,
    )  # fmt: skip
    document = json.loads(out.read_text("utf-8"))
    assert document["layers"] == ["embeddings", "0", "1", "2", "3"]
    assert document["texts"]["ru"]["source"].endswith("ru.txt")
    assert "Intervals of 12 sentences" in shown
    for condition, record in document["conditions"].items():
        assert f"signature: {record['signature']}" in shown
        assert f"condition:{condition}|" in record["signature"]
    german = {
        record["condition"]: record
        for record in document["records"]
        if (record["quantity"], record["layer"], record["row"], record["column"])
        == ("lens", "3", "de", "de")
    }
    assert german["none"]["value"] > 0.7
    assert german["de:zero"]["change_high"] < -0.02
    assert abs(german["random1-de:zero"]["change"]) < 0.02
    assert "is there already" in refused(*LAYERS, "--texts", GIVEN, "--out", out)


def test_what_is_wrong_is_said_before_anything_is_written(tmp_path):
    out = tmp_path / "layers.json"
    (tmp_path / "de.txt").write_text("eins\n\ndrei\n", "utf-8")
    texts = f"de={tmp_path / 'de.txt'},fr={tmp_path / 'de.txt'}"
    assert "line 2 is blank" in refused(*LAYERS, "--texts", texts, "--out", out)
    assert "mean or last" in refused(*LAYERS, "--texts", GIVEN, "--pooling", "first", "--out", out)
    assert not out.exists()
