"""`ModelLayout`: the layers of a model and how wide its hookpoints are, without the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Place = tuple[str, str]
"""A hookpoint and a layer."""


@dataclass(frozen=True)
class ModelLayout:
    """The model that a mask or statistics belong to: what loading and use check them against."""

    layers: tuple[str, ...]
    """Names of the layers in order: "0", "1", ...; "encoder.3" in an encoder-decoder."""
    widths: Mapping[str, int]
    """Neurons per layer of every hookpoint in the file."""
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
    def from_json(document: Mapping[str, Any]) -> ModelLayout:
        """The model that `to_json` wrote; ValueError if it contradicts itself."""
        names = document.get("layer_names") or list(map(str, range(document["layers"])))
        if len(names) != document["layers"]:
            raise ValueError(f"it says {document['layers']} layers and names {len(names)}")
        named = {name: document.get(name) for name in ("type", "name", "revision")}
        return ModelLayout(tuple(names), document["widths"], **named)

    @staticmethod
    def numbered(layers: int, widths: Mapping[str, int], **named: str | None) -> ModelLayout:
        """A model whose layers are called 0 to `layers` - 1."""
        return ModelLayout(tuple(map(str, range(layers))), dict(widths), **named)
