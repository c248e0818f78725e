"""`ModelLayout`: the layers of a model and how wide its hookpoints are, without the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lsn_eval.storage.outside_files import Fields

Place = tuple[str, str]
"""A hookpoint and a layer."""

MOST_LAYERS, MOST_NEURONS = 100_000, 1 << 24
"""More layers, or neurons a layer, than a file may claim: far beyond any model, and harmless."""


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

    def fits(self, other: ModelLayout) -> bool:
        """Whether both can be of one model: layers, type and widths agree where both say them."""
        widths = all(other.widths.get(at, width) == width for at, width in self.widths.items())
        types = None in (self.type, other.type) or self.type == other.type
        return self.layers == other.layers and widths and types

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
    def read(fields: Fields) -> ModelLayout:
        """The model that `to_json` wrote; the fields' own error if it is none."""
        count = fields.whole("layers", least=1, most=MOST_LAYERS)
        names = fields.texts("layer_names", None) or list(map(str, range(count)))
        if len(names) != count:
            raise fields.error(f"{fields.where} says {count} layers and names {len(names)}")
        sizes = fields.fields("widths")
        widths = {name: sizes.whole(name, least=1, most=MOST_NEURONS) for name in sizes}
        named = {name: fields.text(name, None) for name in ("type", "name", "revision")}
        return ModelLayout(tuple(names), widths, **named)

    @staticmethod
    def numbered(layers: int, widths: Mapping[str, int], **named: str | None) -> ModelLayout:
        """A model whose layers are called 0 to `layers` - 1."""
        return ModelLayout(tuple(map(str, range(layers))), dict(widths), **named)
