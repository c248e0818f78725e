"""`ModelLayout`: the layers of a model and how wide its hookpoints are, without the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lsn_eval.storage.outside_files import Fields

Place = tuple[str, str]
"""A hookpoint and a layer."""

_NAMED = ("type", "name", "revision", "resolved")
_ROUTED = re.compile(r"\d+\.\d+")

MOST_LAYERS, MOST_NEURONS = 100_000, 1 << 24
"""More layers, or neurons a layer, than a file may claim: far beyond any model, and harmless."""


@dataclass(frozen=True)
class ModelLayout:
    """The model that a mask or statistics belong to: what loading and use check them against."""

    layers: tuple[str, ...]
    """Names of the layers in order: "0", "1", ...; "encoder.3" in an encoder-decoder; "3.17" and
    "3.shared" are experts of layer 3."""
    widths: Mapping[str, int]
    """Neurons per layer of every hookpoint in the file, of the widest layer."""
    type: str | None = None
    """`config.model_type`; None where an imported file does not say."""
    name: str | None = None
    """Name or path the model was loaded from."""
    revision: str | None = None
    """Commit of the model's repository."""
    resolved: str | None = None
    """`structure`, where the model's type has no row in `lsn_eval.models.families`."""
    narrower: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Neurons of each layer of a hookpoint whose layers are not equally wide; 0 where one has it
    not. Arrays [layer, neuron] are as wide as the widest, and what is beyond a layer means
    nothing."""

    @staticmethod
    def of(
        layers: tuple[str, ...], widths: Mapping[str, tuple[int, ...]], **named: Any
    ) -> ModelLayout:
        """A model by the neurons of each layer of every hookpoint."""
        unequal = {at: each for at, each in widths.items() if len(set(each)) > 1}
        widest = {at: max(each) for at, each in widths.items()}
        return ModelLayout(layers, widest, narrower=unequal, **named)

    def each_width(self, hookpoint: str) -> tuple[int, ...]:
        """Neurons of every layer at a hookpoint."""
        return self.narrower.get(hookpoint) or (self.widths[hookpoint],) * len(self.layers)

    def width(self, hookpoint: str, layer: str) -> int:
        """Neurons of one layer at a hookpoint."""
        each = self.narrower.get(hookpoint)
        return each[self.numbers[layer]] if each else self.widths[hookpoint]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of every layer by its name."""
        return {layer: number for number, layer in enumerate(self.layers)}

    def beyond(self, hookpoint: str) -> NDArray[np.bool_]:
        """Which places of an array [layer, neuron] are no neurons."""
        import numpy as np

        each = np.array(self.each_width(hookpoint))
        return np.arange(self.widths[hookpoint]) >= each[:, None]

    def neurons(self, hookpoint: str) -> int:
        """Neurons of all layers at a hookpoint."""
        return sum(self.each_width(hookpoint))

    def fits(self, other: ModelLayout) -> bool:
        """Whether both can be of one model: layers, type and widths agree where both say them."""
        types = None in (self.type, other.type) or self.type == other.type
        return (
            self.layers == other.layers
            and types
            and all(
                self.each_width(at) == other.each_width(at)
                for at in self.widths.keys() & other.widths.keys()
            )
        )

    def to_json(self) -> dict[str, Any]:
        """The model in the metadata of a file."""
        document: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "revision": self.revision,
            "layers": len(self.layers),
            "widths": dict(self.widths),
        }
        if self.resolved:
            document["resolved"] = self.resolved
        if self.layers != tuple(map(str, range(len(self.layers)))):
            document["layer_names"] = list(self.layers)
        if self.narrower:
            document["layer_widths"] = {at: list(each) for at, each in self.narrower.items()}
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
        named: dict[str, Any] = {of: fields.text(of, None) for of in _NAMED}
        unequal = fields.fields("layer_widths", {})
        narrower = {at: tuple(unequal.wholes(at, most=MOST_NEURONS)) for at in unequal}
        for at, each in narrower.items():
            if len(each) != count or max(each) != widths.get(at):
                raise fields.error(
                    f"{unequal.where}: {at}: a width for each of {count} layers was expected, the "
                    f"widest of them {widths.get(at)}"
                )
        return ModelLayout(tuple(names), widths, narrower=narrower, **named)

    @staticmethod
    def numbered(layers: int, widths: Mapping[str, int], **named: Any) -> ModelLayout:
        """A model whose layers are called 0 to `layers` - 1."""
        return ModelLayout(tuple(map(str, range(layers))), dict(widths), **named)


def is_routed(layer: str) -> bool:
    """Whether the name is a routed expert's, such as "3.17", which sees some tokens alone."""
    return _ROUTED.fullmatch(layer) is not None
