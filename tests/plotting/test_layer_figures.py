"""Figures of what layers hold: each mark stands where its record has its number."""

from __future__ import annotations

import numpy as np
import pytest
from builders.commands import printed, refused

from lsn_eval import LsnError, NeuronMask, plot
from lsn_eval.representations import LayerMeasures

LAYERS, LANGUAGES = ("embeddings", "0", "1", "2", "3"), ("de", "nl", "ru")
CONDITIONS = ("none", "de:zero")


@pytest.fixture
def measures() -> LayerMeasures:
    """Of every quantity and both conditions other numbers."""
    generator = np.random.default_rng(3)
    records = []
    for condition in CONDITIONS:
        for layer in LAYERS:
            for row in LANGUAGES:
                for column in LANGUAGES:
                    kinds = (
                        ["lens"] + ["dominance"] * (row != column) + ["similarity"] * (row < column)
                    )
                    for quantity in kinds:
                        value = generator.uniform(0, 0.3)
                        records.append(record(condition, quantity, layer, row, column, value))
            records.append(record(condition, "similarity", layer, "all", "all", 0.5))
    about = {"model": "made", "notes": [], "conditions": {
        name: {"signature": f"model:made|condition:{name}|data:parallel:0|v1"} for name in CONDITIONS
    }}  # fmt: skip
    return LayerMeasures(LAYERS, LANGUAGES, records, about)


def record(condition, quantity, layer, row, column, value):
    numbers = {"value": value, "low": value - 0.1, "high": value + 0.1, "control": value / 2}
    names = {
        "condition": condition,
        "quantity": quantity,
        "layer": layer,
        "row": row,
        "column": column,
    }
    return {**names, **numbers, "above_low": 0.0, "above_high": 0.1}


def marks(figure, start: str) -> dict[str, object]:
    found = {}
    for axes in figure.axes:
        for artist in (*axes.lines, *axes.patches):
            if (artist.get_gid() or "").startswith(start):
                found.setdefault(artist.get_gid(), []).append(artist)
    return found


def test_similarity_has_a_line_a_condition_and_of_one_condition_one_a_language(measures):
    both = plot("similarity", measures)
    (lines,) = marks(both, "line").values()
    assert [list(line.get_ydata()) for line in lines] == [[0.5] * 5] * 2
    one = marks(plot("similarity", measures, condition="de:zero"), "line")
    assert set(one) == {"line all", "line de", "line nl", "line ru"}
    pairs = [
        r["value"] for r in measures.of("similarity", "de:zero") if "nl" in (r["row"], r["column"])
    ]
    (line,) = one["line nl"]
    np.testing.assert_allclose(line.get_ydata(), np.reshape(pairs, (5, 2)).mean(1))


def test_below_it_are_the_neurons_of_a_mask_layer_by_layer(measures):
    figure = plot("similarity", measures, mask="demo/planted")
    mask = NeuronMask.load("demo/planted")
    bars = marks(figure, "neurons")
    assert len(bars) == len(mask.languages)
    for language in mask.languages:
        heights = [bar.get_height() for bar in bars[f"neurons {language}"]]
        assert heights == [0, *mask.layer_counts(language)["mlp.act"]]


def test_dominance_shows_the_mean_over_layers_and_its_columns_by_layer(measures):
    figure = plot("dominance", measures, condition="de:zero")
    matrix = measures.matrix("dominance", "de:zero")
    np.testing.assert_allclose(
        np.ma.filled(figure.axes[0].images[0].get_array(), np.nan), matrix.mean(0)
    )
    (line,) = marks(figure, "line ru")["line ru"]
    np.testing.assert_allclose(line.get_ydata(), matrix[:, :2, 2].mean(1))


def test_the_lens_has_a_plot_a_language_whose_areas_fill_all_probability(measures):
    figure = plot("lens", measures, labels={"ru": "Russisch"})
    plots = [axes for axes in figure.axes if axes.collections]
    assert len(plots) == 3
    shares = measures.matrix("lens", "none")
    for number, axes in enumerate(plots):
        heights = [area.get_paths()[0].vertices[:, 1].max() for area in axes.collections]
        assert heights[-1] == pytest.approx(1)
        assert heights[0] == pytest.approx(shares[:, number, 0].max())
    assert "Russisch text" in [axes.get_title(loc="left") for axes in plots]


@pytest.mark.parametrize("kind", ["similarity", "dominance", "lens"])
def test_each_is_drawn_from_its_file_with_its_signature_and_an_unknown_condition_is_refused(
    kind, measures, tmp_path
):
    path = tmp_path / "layers.json"
    measures.save(path)
    printed("plot", kind, path, "--out", tmp_path / "figure.svg", "--condition", "de:zero")
    assert (tmp_path / "figure.svg").is_file()
    (notes,) = (text for text in plot(kind, path).texts if text.get_gid() == "notes")
    assert "condition:none" in notes.get_text()
    said = refused("plot", kind, path, "--out", tmp_path / "f.png", "--condition", "fr:zero")
    assert "it was not measured; there are none, de:zero" in said
    with pytest.raises(LsnError, match="--label names fr"):
        plot(kind, path, labels={"fr": "Französisch"})


def test_a_mask_of_another_model_is_refused_and_so_is_what_was_not_measured(measures):
    short = LayerMeasures(("embeddings", "0"), LANGUAGES, (), measures.about)
    with pytest.raises(LsnError, match="the mask has a layer 1, and the file has 1 layers"):
        plot("similarity", short, mask="demo/planted")
    with pytest.raises(LsnError, match="has no lens under none"):
        plot("lens", short)
