"""`SharedLayers`: the layers below the first that is written, computed once for several conditions.

Conditions of a sweep run over the same batches, and up to the first layer that they write they
compute the same. What the layer below puts out is kept in the memory of the host, and given to the
conditions that follow, whose lower layers do nothing. What is above runs as always, so that numbers
are equal bit for bit.

Layers are shared if they ran one after the other before the written one, as hooks saw, and if a
batch gets the same scores bit for bit with and without them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map_only

from lsn_eval.conditions import Condition, plan
from lsn_eval.errors import LsnError
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.resolving import resolve

logger = logging.getLogger(__name__)

Key = tuple[Any, ...]
"""All that a batch is."""

MOST_BYTES = 2**30
"""Of what is kept: of 131,072 tokens of a hidden size of 4,096 in half precision. What is beyond is
computed for each condition."""


class SharedLayers:
    """Runs the model for one condition after another, its lower layers once.

    Args:
        forward: the model's call, by which scores [row, position, token] are computed.
        mask: conditions are read with it.
    """

    def __init__(
        self, model: nn.Module, mask: NeuronMask | None, forward: Callable[..., torch.Tensor]
    ) -> None:
        self._model, self._mask, self._forward = model, mask, forward
        self._depths: dict[Condition, int | None] = {}
        self._lower: list[nn.Module] = []
        """Layers that are shared; empty where none are."""
        self._upper: nn.Module | None = None
        """The layer above them."""
        self._kept: dict[Key, Any] = {}
        self._bytes = 0
        self._condition = Condition()
        self._shares = self._keeps = self._proved = self._refused = False

    def turn_to(self, condition: Condition) -> None:
        """Run under `condition` from now on; nothing is shared until `follow`."""
        self._condition, self._shares = condition, False

    def follow(self, following: Sequence[Condition]) -> None:
        """Share layers with what ran before and with these, for which the same batches are run."""
        depths = [self._depth(each) for each in (self._condition, *following)]
        if not self._kept:
            self._choose(depths)
        shared = [depth is None or depth >= len(self._lower) for depth in depths]
        self._shares = bool(self._lower) and shared[0]
        self._keeps = any(shared[1:])

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Run every layer, and keep nothing, while the block runs."""
        before, self._shares = self._shares, False
        try:
            yield
        finally:
            self._shares = before

    def _depth(self, condition: Condition) -> int | None:
        """Layers below the first that a condition writes; None where it writes none, and 0 where
        it is not known."""
        if condition not in self._depths:
            try:
                writes = (
                    plan(self._mask, condition).writes if self._mask and condition.terms else ()
                )
                # Experts and the layers of two stacks have other names, which are no numbers.
                self._depths[condition] = min((int(layer) for _, layer in writes), default=None)
            except (LsnError, ValueError):  # a condition that fails does so at its own turn
                self._depths[condition] = 0
        return self._depths[condition]

    def _choose(self, depths: Sequence[int | None]) -> None:
        """As many layers as spare the most, all conditions taken together."""

        def spared(depth: int) -> int:
            return depth * (sum(other is None or other >= depth for other in depths) - 1)

        self._lower, self._proved = [], False
        most = max((depth for depth in depths if depth), key=spared, default=0)
        if most and spared(most) and not self._refused:
            layers = _layers(self._model)
            below = [module for layer in layers[:most] for module in layer.modules()]
            # Not where somebody listens to a module, or has changed its call.
            if most < len(layers) and not any(
                of._forward_hooks or of._forward_pre_hooks or "forward" in vars(of) for of in below
            ):
                self._lower, self._upper = layers[:most], layers[most]

    def __call__(self, active: Callable[[], Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Scores of a batch, with what `active` opens; a batch that was run over before goes
        through the upper layers alone."""
        key = _key(args, kwargs) if self._shares and not self._model.training else None
        if key is not None and key in self._kept and not self._proved:
            self._prove(self._kept[key], *args, **kwargs)
        with ExitStack() as stack:
            if key is not None and key in self._kept:
                stack.enter_context(self._skipping(self._kept[key], args[0].device))
            elif key is not None and self._keeps and self._shares:
                stack.enter_context(self._keeping(key))
            stack.enter_context(active())
            return self._forward(*args, **kwargs)

    @contextmanager
    def _keeping(self, key: Key) -> Iterator[None]:
        """Keep what the lower layers put out in a pass within the block."""
        ran: list[nn.Module] = []
        outputs: list[Any] = []
        kept: list[Any] = []

        def lower_ends(module: nn.Module, args: Any, output: Any) -> None:
            ran.append(module)
            outputs[:] = [output]

        def upper_begins(module: nn.Module, args: Any) -> None:
            if ran == self._lower and not kept:  # a copy, before anybody changes it
                kept.append(_copied(outputs[0], torch.device("cpu")))

        assert self._upper is not None
        with ExitStack() as stack:
            for layer in self._lower:
                stack.callback(layer.register_forward_hook(lower_ends).remove)
            stack.callback(self._upper.register_forward_pre_hook(upper_begins).remove)
            yield
        tensors = [one for one in tree_leaves(kept) if one is not None]
        if not tensors or not all(isinstance(one, torch.Tensor) for one in tensors):
            return self._refuse("do not run one after the other, or put out no tensors")
        size = sum(tensor.nbytes for tensor in tensors)
        if self._bytes + size <= MOST_BYTES:
            self._kept[key] = kept[0]
            self._bytes += size

    @contextmanager
    def _skipping(self, output: Any, device: torch.device) -> Iterator[None]:
        """The lower layers do nothing within the block, and put out a copy of `output`."""
        given = _copied(output, device)
        with ExitStack() as stack:
            for layer in self._lower:
                vars(layer)["forward"] = lambda *args, **kwargs: given
                stack.callback(vars(layer).pop, "forward")
            yield

    def _prove(self, output: Any, tokens: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        """Hold the upper layers alone against the whole model, under no condition."""
        try:
            # Other tokens first: nothing that lower layers leave elsewhere is of this batch.
            self._forward((tokens + 1) % 2, *args, **kwargs)
            with self._skipping(output, tokens.device):
                short = self._forward(tokens, *args, **kwargs)
            # Scores of both at once may be more than there is memory for.
            self._proved = torch.equal(short, self._forward(tokens, *args, **kwargs))
        except Exception as error:
            return self._refuse(f"cannot be left out ({error!r})")
        if not self._proved:
            self._refuse("do more than to hand a state on")

    def _refuse(self, reason: str) -> None:
        logger.info("conditions share no layers: those of this model %s", reason)
        self._refused, self._shares = True, False
        self._lower, self._kept = [], {}


def _layers(model: nn.Module) -> list[nn.Module]:
    """The layers of a model of one stack, the first one first; none where that is not known."""
    try:
        known = {int(at): of for at, of in resolve(model).layers.items() if at.isdecimal()}
    except LsnError:
        return []
    for listed in (list(of) for of in model.modules() if isinstance(of, nn.ModuleList)):
        if known and all(listed[at : at + 1] == [layer] for at, layer in known.items()):
            return listed
    return []


def _key(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Key | None:
    """Everything in a call; None where something in it is no tensor of whole numbers."""
    values = [*args, *kwargs.values()]
    if any(not isinstance(value, torch.Tensor) or value.is_floating_point() for value in values):
        return None
    return (*kwargs, *((value.shape, value.cpu().numpy().tobytes()) for value in values))


def _copied(output: Any, device: torch.device) -> Any:
    return tree_map_only(torch.Tensor, lambda one: one.detach().to(device, copy=True), output)
