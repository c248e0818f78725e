"""Counts that the published LAPE scripts write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from builders.reference import REFERENCE, needs_reference
from builders.statistics import assert_equal

from lsn_eval.errors import StatisticsError
from lsn_eval.statistics import ActivationStats
from lsn_eval.statistics.imports import import_counts


@needs_reference
def test_published_counts_are_imported(tmp_path: Path) -> None:
    languages = ["en", "de", "tr"]
    files = [REFERENCE / "activations" / f"{language}.llama-7b.pt" for language in languages]
    stats = import_counts(files, languages, model_type="llama")
    assert stats.get("mlp.act", "positive").shape == (3, 32, 11008)
    assert stats.tokens == {"en": 6287360, "de": 4239360, "tr": 4874240}
    for file, counts in zip(files, stats.get("mlp.act", "positive"), strict=True):
        published = torch.load(file, weights_only=True)["over_zero"].numpy()
        np.testing.assert_array_equal(counts, published)
    stats.save(tmp_path / "a")
    assert_equal(ActivationStats.load(tmp_path / "a"), stats)


def test_imports_that_cannot_be(tmp_path: Path) -> None:
    path, other = tmp_path / "a.pt", tmp_path / "b.pt"
    good = {"n": 5, "over_zero": torch.zeros(2, 3, dtype=torch.int32)}
    torch.save(good, path)
    torch.save({"n": torch.tensor(5), "over_zero": torch.zeros(2, 4, dtype=torch.int32)}, other)
    assert import_counts([path], ["de"]).tokens == {"de": 5}
    torch.save({**good, "over_zero": good["over_zero"] + 1}, tmp_path / "counts")
    for files, message in (
        ([tmp_path / "counts"] * 2, "de and fr of two files hold the same numbers"),
        ([path, other], "different models"),
        ([path], "1 files and 2 languages"),
        ([path, tmp_path / "c.pt"], "does not exist"),
    ):
        with pytest.raises(StatisticsError, match=message):
            import_counts(files, ["de", "fr"])
    with pytest.raises(StatisticsError, match="hookpoint 'mlp'"):
        import_counts([path], ["de"], hookpoint="mlp")
    for wrong, message in (
        ({"n": 5}, "keys n; a dict of n and over_zero"),
        (torch.zeros(3), "no dict"),
        ({**good, "n": torch.zeros(2)}, "n: whole numbers were expected"),
        ({**good, "over_zero": torch.zeros(2, 3)}, "over_zero: whole numbers with 2 axes.*float32"),
        ({**good, "n": torch.tensor([1, 2])}, "the number of tokens was expected"),
        ({**good, "n": True}, "n: whole numbers were expected"),
        ({**good, "n": -5}, "tokens"),
        ({**good, "over_zero": -good["over_zero"] - 1}, "negative"),
        ({**good, "over_zero": [[1], [2, 3]]}, "an array of whole numbers was expected"),
        ({"x": Path("/")}, "could run code"),
    ):
        torch.save(wrong, path)
        with pytest.raises(StatisticsError, match=message):
            import_counts([path], ["de"])
