"""Published masks, converted: the released files, and what is wrong with others."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from builders.reference import REFERENCE, needs_reference

from lsn_eval import NeuronMask
from lsn_eval.errors import MaskError
from lsn_eval.masks.imports import import_rucaibox

PUBLISHED = [
    ("LLaMA-2-7B", "en zh fr es vi id ja", 32, 11008, [95, 583, 1022, 838, 836, 1068, 582], 3523),
    ("BLOOM-7B", "a b c d e f", 30, 16384, [445, 653, 680, 918, 551, 2823], 4915),
    ("Mistral-7B", "a b c d e f", 32, 14336, [76, 1190, 919, 838, 1554, 1445], 4588),
    ("OPT-6.7B", "a b c d e f", 32, 16384, [347, 833, 1571, 1517, 752, 1129], 5243),
    ("Phi-2-2.7B", "a b c d e f", 32, 10240, [52, 196, 1032, 1119, 511, 764], 3277),
]


@needs_reference
@pytest.mark.parametrize(("name", "languages", "layers", "width", "counts", "union"), PUBLISHED)
def test_released_masks_have_the_published_figures(
    tmp_path, name, languages, layers, width, counts, union
):
    path = REFERENCE / "masks" / f"{name}.neuron.pth"
    mask = import_rucaibox(path, languages=languages.split(), layers=layers, width=width)
    assert [mask.count(language) for language in mask.languages] == counts
    everything = np.concatenate([mask.neurons(language) for language in mask.languages])
    assert len(np.unique(everything, axis=0)) == union == round(0.01 * layers * width)
    content = torch.load(path, weights_only=True)
    for language, by_layer in zip(mask.languages, content, strict=True):
        expected = [[n, i] for n, indices in enumerate(by_layer) for i in indices.tolist()]
        assert mask.neurons(language).tolist() == expected
    mask.save(tmp_path / "m")
    assert NeuronMask.load(tmp_path / "m") == mask


@needs_reference
def test_a_released_mask_with_six_languages_is_not_read_as_seven():
    path = REFERENCE / "masks" / "BLOOM-7B.neuron.pth"
    with pytest.raises(MaskError, match="holds 6 languages and 7 were named"):
        import_rucaibox(path, languages=list("abcdefg"), layers=30, width=16384)


def write(path, content):
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([[[1], [2]]], "holds 1 languages and 2 were named (de, fr)"),
        ([[[1]], [[2]]], "de has 1 layers and --layers says 2"),
        ([[[1], [2]], [[3], [10]]], "fr/mlp.act/1: neuron 10 is outside the width; 0 to 9"),
        ([[[1], [2]], [[3], [-1]]], "neuron -1 is outside the width"),
        ([[[1], [2, 2]], [[3], [4]]], "neuron 2 stands twice"),
        ([[[1], [0.5]], [[3], [4]]], "whole numbers with 1 axes were expected, not float"),
        ({"de": 1}, "it holds a dict"),
        ([[["x"], [2]], [[3], [4]]], "de, layer 0"),
    ],
)
def test_what_does_not_fit_is_an_error(tmp_path, content, message):
    if isinstance(content, list):
        content = [
            [torch.tensor(x) if not isinstance(x[0], str) else x for x in by_layer]
            for by_layer in content
        ]
    path = write(tmp_path / "m.pth", content)
    with pytest.raises(MaskError) as caught:
        import_rucaibox(path, languages=["de", "fr"], layers=2, width=10)
    assert message in str(caught.value)


class Evil:
    """Runs code when unpickled carelessly."""

    def __reduce__(self):
        return (exec, ("import os; os.environ['LSN_EVAL_PWNED'] = '1'",))


def test_a_file_that_could_run_code_is_refused(tmp_path, monkeypatch):
    import os

    path = tmp_path / "m.pth"
    torch.save([[Evil()]], path)
    with pytest.raises(MaskError, match="could run code, which are never loaded"):
        import_rucaibox(path, languages=["de"], layers=1, width=10)
    path.write_bytes(pickle.dumps([[Evil()]]))
    with pytest.raises(MaskError, match="never loaded"):
        import_rucaibox(path, languages=["de"], layers=1, width=10)
    assert "LSN_EVAL_PWNED" not in os.environ
    with pytest.raises(MaskError, match="does not exist"):
        import_rucaibox(tmp_path / "absent", languages=["de"], layers=1, width=10)
