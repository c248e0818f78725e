"""What a mask is made of besides neurons: names, the model it is of, the method that made it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LANGUAGE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
CONTROL_NAME = re.compile(r"random([1-9][0-9]*)-(.+)")
STATISTICS = ("mean", "median", "p10", "p90", "max")
"""Statistics of a neuron in its language that a mask can store and a condition can write."""

Place = tuple[str, str]
"""A hookpoint and a layer."""


@dataclass(frozen=True)
class MaskModel:
    """The model a mask belongs to: what loading and use check it against."""

    layers: tuple[str, ...]
    """Names of the layers in order: "0", "1", ...; "encoder.3" in an encoder-decoder."""
    widths: Mapping[str, int]
    """Neurons per layer of every hookpoint in the mask."""
    type: str | None = None
    """`config.model_type`; None where an imported file does not say."""
    name: str | None = None
    """Name or path the model was loaded from."""
    revision: str | None = None
    """Commit of the model's repository."""

    def to_json(self) -> dict[str, Any]:
        """The model in the metadata of a file."""
        document: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "revision": self.revision,
            "layers": len(self.layers),
            "widths": dict(self.widths),
        }
        if self.layers != tuple(map(str, range(len(self.layers)))):
            document["layer_names"] = list(self.layers)
        return document

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> MaskModel:
        """The model that `to_json` wrote; ValueError if it contradicts itself."""
        names = document.get("layer_names") or list(map(str, range(document["layers"])))
        if len(names) != document["layers"]:
            raise ValueError(f"it says {document['layers']} layers and names {len(names)}")
        named = {name: document.get(name) for name in ("type", "name", "revision")}
        return MaskModel(tuple(names), document["widths"], **named)

    @staticmethod
    def numbered(layers: int, widths: Mapping[str, int], **named: str | None) -> MaskModel:
        """A model whose layers are called 0 to `layers` - 1."""
        return MaskModel(tuple(map(str, range(layers))), dict(widths), **named)


@dataclass(frozen=True)
class MaskMethod:
    """How the neurons were found."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
