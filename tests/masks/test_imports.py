"""Published masks, converted: the released files, and what is wrong with others."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from builders.architectures import saved_model, tiny_config, tiny_model
from builders.reference import REFERENCE, needs_reference

from lsn_eval import NeuronMask
from lsn_eval.errors import MaskError
from lsn_eval.masks.imports import import_expertise, import_json, import_lists
from lsn_eval.models.resolving import resolve

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
    mask = import_lists(path, languages=languages.split(), layers=layers, width=width)
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
        import_lists(path, languages=list("abcdefg"), layers=30, width=16384)


def write(path, content):
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([[[1], [2]]], "holds 1 languages and 2 were named (de, fr)"),
        ([[[1]], [[2]]], "de has 1 layers and the model has 2"),
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
        import_lists(path, languages=["de", "fr"], layers=2, width=10)
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
        import_lists(path, languages=["de"], layers=1, width=10)
    path.write_bytes(pickle.dumps([[Evil()]]))
    with pytest.raises(MaskError, match="never loaded"):
        import_lists(path, languages=["de"], layers=1, width=10)
    assert "LSN_EVAL_PWNED" not in os.environ
    with pytest.raises(MaskError, match="does not exist"):
        import_lists(tmp_path / "absent", languages=["de"], layers=1, width=10)


# JSON, and expertise files --------------------------------------------------------------------


def test_json_is_neurons_by_language_hookpoint_and_layer(tmp_path):
    tree = {"de": {"mlp.act": {"0": [7, 3], "1": [2]}, "attn.q": {"1": [5]}}, "fr": {}}
    path = tmp_path / "m.json"
    path.write_text(json.dumps(tree))
    saved_model(tmp_path / "bloom", "bloom")
    mask = import_json(path, name=str(tmp_path / "bloom"))
    assert mask.languages == ("de", "fr")
    assert mask.neurons("de", "mlp.act").tolist() == [[0, 3], [0, 7], [1, 2]]
    assert mask.neurons("de", "attn.q").tolist() == [[1, 5]]
    assert mask.model.widths == {"mlp.act": 128, "attn.q": 32}
    assert mask.check_model(resolve(tiny_model("bloom"))) == ()
    sized = import_json(path, layers=2, width=48)
    assert sized.model.widths == {"mlp.act": 48, "attn.q": 48}
    with pytest.raises(MaskError, match="--layers and --width, or --model"):
        import_json(path, layers=2)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"de": {"mlp.act": {"0": [3, 3]}}}, "neuron 3 stands twice"),
        ({"de": {"mlp.act": {"0": [99]}}}, "neuron 99 is outside the width"),
        ({"de": {"mlp.act": {"7": [1]}}}, "has no layer '7'"),
        ({"de": {"mlp.acts": {"0": [1]}}}, "hookpoint must be one of"),
        ({"de": {"mlp.act": {"0": ["x"]}}}, "a list of whole numbers"),
        ({"de": {"mlp.act": [1]}}, "an object was expected"),
        ([1], "an object was expected"),
        ({}, "a mask without languages"),
    ],
)
def test_json_that_does_not_fit_is_an_error(tmp_path, tree, message):
    path = tmp_path / "m.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(MaskError, match=message):
        import_json(path, layers=2, width=48)


def expertise(path, model, seed):
    """A file as compute_expertise writes it, of every output of every linear layer."""
    generator = np.random.RandomState(seed)
    rows = ["ap,off_mean,off_p50,on_p50,on_p90,layer,unit,uuid,concept,group"]
    linear = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    for name, module in sorted(linear.items()):
        for unit in range(module.out_features):
            ap, on = generator.uniform(size=2)
            rows.append(f"{ap},0,0,{on},1,{name}:0,{unit},{len(rows)},de,sense")
    path.write_text("\n".join(row for row in rows if "lm_head" not in row))
    return {(r[5], int(r[6])): (float(r[0]), float(r[3])) for r in (x.split(",") for x in rows[1:])}


@pytest.mark.parametrize("end", ["both", "top", "bottom"])
@pytest.mark.parametrize("family", ["bloom", "llama"])
def test_expertise_files_give_their_units_where_the_model_has_them(tmp_path, family, end):
    """Each unit is followed to the value that its module puts out, fused layers included."""
    model = saved_model(tmp_path / "model", family)
    rows = expertise(tmp_path / "de.csv", model, 0)
    expertise(tmp_path / "fr.csv", model, 1)
    files = {name: tmp_path / f"{name}.csv" for name in ("de", "fr")}
    mask = import_expertise(files, name=str(tmp_path / "model"), neurons=10, end=end)
    ranked = sorted((key for key in rows if "lm_head" not in key[0]), key=lambda key: rows[key][0])
    expected = {"top": ranked[-10:], "bottom": ranked[:10], "both": ranked[:5] + ranked[-5:]}[end]
    found, medians = set(), {}
    for at, layer in mask.places("de"):
        site = resolve(model).site(at, layer)
        values = mask.values("de", at, layer, "median").tolist()
        for neuron, value in zip(mask.indices("de", at, layer).tolist(), values, strict=True):
            column = neuron if site.columns is None else int(site.columns[neuron])
            found.add((f"{site.module_name}:0", column))
            medians[f"{site.module_name}:0", column] = value
    assert found == set(expected)
    assert all(medians[key] == np.float32(rows[key][1]) for key in expected)
    assert mask.count("fr") == 10
    assert mask.method.parameters["end"] == end
    assert mask.method.parameters["median"] == "over texts"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["layer,unit"], "has no column ap; an expertise file has layer, unit, ap and on_p50"),
        (["layer,unit,ap", "model.layers.0.mlp.up_proj:0,48,1"], "has 48 outputs of that name"),
        (["layer,unit,ap", "model.layers.0.mlp.act_fn:0,1,1"], "no such layer of that name"),
        (["layer,unit,ap", "model.layers.0.mlp.up_proj:0,x,1"], "line 2: invalid literal"),
        (["layer,unit,ap", "model.layers.0.mlp.up_proj:0,1,1"] * 1, "1 units, and 4 were asked"),
    ],
)
def test_expertise_files_that_do_not_fit_are_errors(tmp_path, lines, message):
    (tmp_path / "model").mkdir()
    tiny_config("llama").save_pretrained(tmp_path / "model")
    (tmp_path / "de.csv").write_text("\n".join(lines))
    neurons = 4 if "asked" in message else None
    with pytest.raises(MaskError, match=message):
        import_expertise({"de": tmp_path / "de.csv"}, name=str(tmp_path / "model"), neurons=neurons)


def test_expertise_without_medians_stores_none(tmp_path):
    tiny_config("llama").save_pretrained(tmp_path)
    (tmp_path / "de.csv").write_text("layer,unit,ap\nmodel.layers.1.mlp.up_proj:0,3,0.9")
    mask = import_expertise({"de": tmp_path / "de.csv"}, name=str(tmp_path))
    assert mask.neurons("de").tolist() == [[1, 3]]
    assert mask.statistics("de") == ()
