"""Masks that others published, converted: languages are named by the caller, never by position."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lsn_eval.errors import MaskError
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.masks.names import OVER_TEXTS, MaskMethod
from lsn_eval.models.hookpoints import DEFAULT_HOOKPOINT, ModelHookpoints
from lsn_eval.models.layout import MOST_NEURONS, ModelLayout, Place
from lsn_eval.models.loading import empty_model
from lsn_eval.models.resolving import resolve
from lsn_eval.storage.outside_files import Fields, csv_rows, read_json
from lsn_eval.storage.tensor_files import load_plain_tensors, whole_numbers
from lsn_eval.wording.lists import listed

End = Literal["both", "top", "bottom"]
"""Units of the highest average precision, of the lowest, or half of each."""


def import_lists(
    path: str | os.PathLike[str],
    *,
    languages: Sequence[str],
    hookpoint: str = DEFAULT_HOOKPOINT,
    origin: Mapping[str, str] | None = None,
    **model: Any,
) -> NeuronMask:
    """Convert a `torch.save` of `list[language][layer]` of int64 neuron indices: what
    RUCAIBox/Language-Specific-Neurons (Tang et al. 2024) and NJUNLP/Language-Neurons-Alignment
    released.

    Args:
        languages: their names in file order; the file holds none.
        origin: where the file is from, for the mask's method.
        model: see `model_layout`.

    Raises:
        MaskError: the file does not have as many languages or layers, or an index is outside the
            width or doubled.
    """
    source = Path(path)
    content = load_plain_tensors(source, MaskError)
    if not isinstance(content, list) or not all(isinstance(entry, list) for entry in content):
        raise MaskError(
            f"{source} does not hold list[language][layer] of neuron indices; it holds a "
            f"{type(content).__name__}"
        )
    if len(content) != len(languages):
        raise MaskError(
            f"{source} holds {len(content)} languages and {len(languages)} were named "
            f"({', '.join(languages) or 'none'}); name them all, in file order"
        )
    layout = model_layout([hookpoint], **model)
    neurons: dict[str, Any] = {}
    for language, by_layer in zip(languages, content, strict=True):
        if len(by_layer) != len(layout.layers):
            raise MaskError(
                f"{source}: {language} has {len(by_layer)} layers and the model has "
                f"{len(layout.layers)}"
            )
        neurons[language] = {
            hookpoint: {
                layer: _sorted(indices, f"{source}: {language}, layer {layer}")
                for layer, indices in zip(layout.layers, by_layer, strict=True)
            }
        }
    parameters = {"format": "list[language][layer]", "file": source.name, **(origin or {})}
    method = MaskMethod("imported", parameters)
    return NeuronMask(neurons, model=layout, languages=languages, method=method)


def import_json(path: str | os.PathLike[str], **model: Any) -> NeuronMask:
    """Convert JSON, `{"de": {"mlp.act": {"0": [3, 17], "5": [2]}}}`: neuron indices by language,
    hookpoint and layer.

    Args:
        model: see `model_layout`.

    Raises:
        MaskError: it holds anything else, or does not fit the model.
    """
    document = Fields(read_json(path, MaskError), os.fspath(path), MaskError)
    neurons = {
        language: {
            hookpoint: {
                layer: _sorted(by_layer.wholes(layer, most=MOST_NEURONS), by_layer.where)
                for layer in by_layer
            }
            for hookpoint in by_hookpoint
            for by_layer in [by_hookpoint.fields(hookpoint)]
        }
        for language in document
        for by_hookpoint in [document.fields(language)]
    }
    hookpoints = list(dict.fromkeys(at for tree in neurons.values() for at in tree))
    method = MaskMethod("imported", {"format": "json", "file": Path(path).name})
    layout = model_layout(hookpoints or [DEFAULT_HOOKPOINT], **model)
    return NeuronMask(neurons, model=layout, method=method)


def import_expertise(
    files: Mapping[str, str | os.PathLike[str]],
    *,
    name: str,
    neurons: int | None = None,
    end: End = "both",
) -> NeuronMask:
    """Convert the expertise files of kojima-takeshi188/lang_neuron (Kojima et al. 2024): CSV with
    the columns `layer`, `unit`, `ap` and `on_p50`, one file a language.

    `layer` is the name of a linear layer's module (with `:0` behind it) and `unit` one of its
    outputs: those of a fused layer go to the hookpoints that they are. `on_p50`, where it is there,
    becomes the mask's median: over texts, of the unit's mean response.

    Args:
        files: by language.
        name: the model, by name or folder: its configuration says where the modules are.
        neurons: take so many of each file, those of highest and of lowest `ap`; by default all, as
            of a file that was limited already. Ties go to the earlier row.

    Raises:
        MaskError: a file without these columns, or units that the model does not have.
    """
    found = resolve(empty_model(name))
    tables = {language: _expertise(Path(path), neurons, end) for language, path in files.items()}
    where = _linear_outputs(found)
    placed: dict[str, dict[Place, list[tuple[int, float]]]] = {}
    for language, rows in tables.items():
        by_place = placed.setdefault(language, {})
        for module, unit, response in rows:
            if unit not in where.get(module, {}):
                known = f"{len(where[module])} outputs" if module in where else "no such layer"
                raise MaskError(
                    f"{files[language]}: unit {unit} of {module}, and {name} (a "
                    f"{found.model_type} model) has {known} of that name; its linear layers are "
                    f"{listed(where, 2)}"
                )
            place, index = where[module][unit]
            by_place.setdefault(place, []).append((index, response))
    trees: dict[str, dict[str, Any]] = {}
    values: dict[str, dict[str, Any]] = {}
    for language, by_place in placed.items():
        for (at, layer), pairs in by_place.items():
            indices, medians = zip(*sorted(pairs), strict=True)
            trees.setdefault(language, {}).setdefault(at, {})[layer] = indices
            if not np.isnan(medians).any():
                values.setdefault(language, {}).setdefault(at, {})[layer] = {"median": medians}
    parameters = {
        "format": "expertise",
        "files": {language: Path(path).name for language, path in files.items()},
        "neurons": neurons,
        "end": end,
        "median": OVER_TEXTS,
    }
    hookpoints = [at for at in found.sites if any(at in tree for tree in trees.values())]
    return NeuronMask(
        trees,
        model=found.layout(hookpoints),
        languages=list(files),
        method=MaskMethod("imported", parameters),
        values=values,
    )


def model_layout(
    hookpoints: Sequence[str],
    *,
    layers: int | None = None,
    width: int | None = None,
    name: str | None = None,
    model_type: str | None = None,
) -> ModelLayout:
    """The model of an imported mask: `layers` of `width` neurons, or, without these, what the
    configuration of the model called `name` (or in that folder) says.

    Raises:
        MaskError: neither was given.
    """
    if layers is not None and width is not None:
        widths = dict.fromkeys(hookpoints, width)
        return ModelLayout.numbered(layers, widths, name=name, type=model_type)
    if name is None or layers is not None or width is not None:
        raise MaskError(
            "nothing says how large the model is: give --layers and --width, or --model alone, the "
            "name or folder of a model whose configuration says it"
        )
    return resolve(empty_model(name)).layout(hookpoints)


def _sorted(indices: Any, where: str) -> NDArray[np.int64]:
    return np.sort(whole_numbers(indices, where, 1, MaskError))


def _linear_outputs(found: ModelHookpoints) -> dict[str, dict[int, tuple[Place, int]]]:
    """For every linear layer by its module's name, the place and neuron of each of its outputs."""
    outputs: dict[str, dict[int, tuple[Place, int]]] = {}
    for at in (name for name in found.sites if name not in ("mlp.act", "mlp.down_in")):
        for layer, site in found.sites[at].items():
            if site.expert is not None:  # no linear layer of its own
                continue
            columns = range(site.extent) if site.columns is None else site.columns.tolist()
            of = outputs.setdefault(site.module_name, {})
            of |= {column: ((at, layer), neuron) for neuron, column in enumerate(columns)}
    return outputs


def _expertise(path: Path, neurons: int | None, end: End) -> list[tuple[str, int, float]]:
    """Module, unit and median response of the chosen rows."""
    rows: list[tuple[str, int, float]] = []
    precision: list[float] = []
    expected = "an expertise file has layer, unit, ap and on_p50"
    for where, row in csv_rows(path, ("layer", "unit", "ap"), MaskError, expected):
        try:
            response = float(row["on_p50"]) if row.get("on_p50") else float("nan")
            rows.append((row["layer"].removesuffix(":0"), int(row["unit"]), response))
            precision.append(float(row["ap"]))
        except ValueError as error:
            raise MaskError(f"{where}: {error}") from error
    if neurons is None:
        return rows
    ap = np.array(precision)
    if neurons > ap.size:
        raise MaskError(f"{path} has {ap.size} units, and {neurons} were asked for")
    half = neurons // 2 if end == "both" else neurons
    top, bottom = (np.argsort(sign * ap, kind="stable")[:half].tolist() for sign in (-1, 1))
    chosen = {"top": top, "bottom": bottom, "both": [*top, *bottom]}[end]
    return [rows[number] for number in dict.fromkeys(chosen)]
