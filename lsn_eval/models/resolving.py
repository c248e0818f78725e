"""`resolve`: every site of a loaded model, by the row of its type, or else by its structure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from lsn_eval.errors import HookpointError
from lsn_eval.models.families import FAMILIES, REFUSED, Family, Linear, Stack, path_of, shape_of
from lsn_eval.models.hookpoints import HOOKPOINTS, ModelHookpoints, Site

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(__name__)


def unwrap(model: nn.Module) -> nn.Module:
    """The Hugging Face model inside what wraps it: DDP, `torch.compile`, PEFT."""
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod  # type: ignore[assignment]
        elif hasattr(model, "get_base_model") and hasattr(model, "peft_config"):
            model = model.get_base_model()  # type: ignore[operator]
        elif not hasattr(model, "config") and hasattr(model, "module"):
            model = model.module  # type: ignore[assignment]
        else:
            return model


def positions_of(model: nn.Module, stated: int | None) -> int | None:
    """Tokens that fit, of as many as a config has `stated`: of RoBERTa's kind positions count from
    behind the padding's number, so that fewer do."""
    learned = [
        module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings")
    ]
    return min([*learned, *([stated] if stated else [])], default=None)


def needs_weights(model: nn.Module) -> bool:
    """Whether its type has no row and is not refused, so that the loaded model alone can say."""
    model_type = getattr(getattr(unwrap(model), "config", None), "model_type", None)
    return model_type not in FAMILIES and model_type not in REFUSED


def resolve(model: nn.Module) -> ModelHookpoints:
    """Find every site of `model` by its type's row, and check the row against its shapes.

    A type without a row is resolved by structure, see `lsn_eval.models.structure`: that takes the
    weights, and is said in the log.

    Raises:
        HookpointError: the type has no row and its structure gives none (the message holds one to
            fill in), or the loaded model differs from its row.
    """
    model = unwrap(model)
    model_type = getattr(getattr(model, "config", None), "model_type", None)
    if model_type is None:
        raise HookpointError(
            f"a Hugging Face model with config.model_type was expected, not {type(model).__name__}"
        )
    if model_type in REFUSED:
        raise HookpointError(
            f"architecture {model_type!r} is not supported: {REFUSED[model_type]}; supported are "
            f"{', '.join(FAMILIES)}"
        )
    if model_type in FAMILIES:
        return _resolved(model, model_type, FAMILIES[model_type])
    family = _by_structure(model, model_type)
    return replace(_resolved(model, model_type, family), structure=family)


_BY_STRUCTURE: WeakKeyDictionary[nn.Module, Family] = WeakKeyDictionary()


def _by_structure(model: nn.Module, model_type: str) -> Family:
    """The row that a model's tensors give; looked for, and said, once for each loaded model."""
    from lsn_eval.models.structure import family_of

    if model in _BY_STRUCTURE:
        return _BY_STRUCTURE[model]
    try:
        family = family_of(model)
        _resolved(model, model_type, family)
    except HookpointError as error:
        raise HookpointError(
            f"architecture {model_type!r} has no row, and what its tensors do gives none: {error}. "
            + _row_to_fill_in(model, model_type)
        ) from error
    left_out = sorted(stack.name for stack in family if stack.attention is None)
    logger.warning(
        "architecture %r has no row: where its hookpoints are was found by what its tensors do%s; "
        "results and masks say resolved:structure. `lsn-eval models inspect` shows the row to add",
        model_type,
        f" (attention of the {' and '.join(left_out)} is left out)" if left_out else "",
    )
    return _BY_STRUCTURE.setdefault(model, family)


def _row_to_fill_in(model: nn.Module, model_type: str) -> str:
    lists = [
        (name, [*of.children()])
        for name, of in model.named_modules()
        if type(of).__name__ == "ModuleList"
    ]
    path, layers = max(lists, key=lambda named: len(named[1]), default=("PATH.OF.LAYERS", []))
    inside = [name for layer in layers[:1] for name, _ in layer.named_modules() if name]
    return (
        "To support it, put a row into FAMILIES in lsn_eval/models/families.py:\n"
        f'    "{model_type}": (Stack(layers=("{path}",), act=..., gate=... or None, up=..., '
        "down=..., attention=Attention(q=..., k=..., v=..., o=...) or None),)\n"
        f"where each name is one of the modules of a layer: {', '.join(inside) or 'none found'}"
    )


def _resolved(model: nn.Module, model_type: str, family: Family) -> ModelHookpoints:
    stacks = _stacks(model, model_type, family)
    text_config = model.config.get_text_config()  # type: ignore[union-attr,operator]
    heads = getattr(text_config, "num_attention_heads", 1)

    sites: dict[str, dict[str, Site]] = {hookpoint: {} for hookpoint in HOOKPOINTS}
    layers: dict[str, nn.Module] = {}
    owners: dict[int, str] = {}
    for path, stack, modules in stacks:
        for number, layer in enumerate(modules):
            name = f"{stack.name}.{number}" if len(stacks) > 1 else str(number)
            for site in _layer_sites(stack, layer, name, f"{path}.{number}", heads):
                layers.setdefault(site.layer, site.expert or layer)
                owner = owners.setdefault(id(site.module), site.layer)
                if owner != site.layer:
                    raise HookpointError(
                        f"layers {owner} and {site.layer} share the module {site.module_name}, so "
                        f"that {site.hookpoint} cannot be told apart between them; give each "
                        "layer a module of its own"
                    )
                sites[site.hookpoint][site.layer] = site
    return ModelHookpoints(
        model_type,
        sites={hookpoint: by_layer for hookpoint, by_layer in sites.items() if by_layer},
        layers=layers,
        name=getattr(model.config, "_name_or_path", None) or None,
        revision=getattr(model.config, "_commit_hash", None),
    )


def _stacks(
    model: nn.Module, model_type: str, family: Family
) -> list[tuple[str, Stack, list[nn.Module]]]:
    """The stacks of the family that this model has: path, row and layers of each."""
    found: dict[str, tuple[str, Stack, list[nn.Module]]] = {}
    for stack in family:
        for path in stack.layers:
            module = _submodule(model, path)
            if module is None or not (layers := list(module.children())):
                continue
            if stack.name not in found or _submodule(layers[0], path_of(stack.up)) is not None:
                found[stack.name] = path, stack, layers
            break
    if not found:
        raise HookpointError(
            f"this {model_type} model ({type(model).__name__}) has no layers at "
            f"{' or '.join(path for stack in family for path in stack.layers)}; its row in "
            "lsn_eval/models/families.py does not fit it"
        )
    return list(found.values())


def _submodule(module: nn.Module, path: str) -> nn.Module | None:
    try:
        return module.get_submodule(path)
    except AttributeError:
        return None


def _layer_sites(
    stack: Stack, layer: nn.Module, name: str, prefix: str, heads: int
) -> Iterator[Site]:
    if stack.experts is None or _submodule(layer, stack.experts) is None:
        yield from _dense_sites(stack, layer, name, prefix, heads)
        return
    yield from _dense_sites(stack, layer, name, prefix, heads, ("attn.",))
    yield from _expert_sites(layer, stack.experts, name, prefix)
    if stack.shared is not None and _submodule(layer, stack.shared) is not None:
        shared = f"{name}.shared"
        yield from _dense_sites(stack.of_shared(), layer, shared, prefix, heads, ("mlp.",))


def _expert_sites(layer: nn.Module, path: str, name: str, prefix: str) -> Iterator[Site]:
    """Every site of the routed experts of a layer: expert 17 of layer 3 is the layer "3.17"."""
    from lsn_eval.models.experts import Experts

    experts = Experts(layer.get_submodule(path), layer, f"{prefix}.{path}")
    width, both = experts.width, np.arange(2 * experts.width)
    gate, up = (both[::2], both[1::2]) if experts.interleaved else (both[:width], both[width:])
    of_expert = [
        ("mlp.down_in", "down_in", width, None),
        ("mlp.gate", "gate_up", width, gate),
        ("mlp.up", "gate_up", width, up),
        ("mlp.down", "down", experts.hidden, None),
    ]
    if experts.has_act:
        of_expert.insert(0, ("mlp.act", "act", width, None))
    for number, expert in enumerate(experts.each):
        for hookpoint, stop, neurons, columns in of_expert:
            yield Site(
                hookpoint,
                f"{name}.{number}",
                expert.points[stop],
                f"{experts.name}.{number}",
                "input" if stop == "down_in" else "output",
                neurons,
                neurons if columns is None else len(both),
                columns,
                expert,
            )


def _dense_sites(
    stack: Stack,
    layer: nn.Module,
    name: str,
    prefix: str,
    heads: int,
    kinds: tuple[str, ...] = ("mlp.", "attn.", "cross."),
) -> Iterator[Site]:
    def module(path: str) -> nn.Module:
        found = _submodule(layer, path)
        if found is None:
            raise HookpointError(
                f"this model has no module {prefix}.{path}, which the row of its family in "
                "lsn_eval/models/families.py names; the row does not fit this model"
            )
        return found

    def output(hookpoint: str, linear: Linear) -> Site:
        path = path_of(linear)
        _, outputs = _shape(module(path), f"{prefix}.{path}")
        columns = None
        if not isinstance(linear, str):
            attended = outputs
            if stack.attention is not None:
                attended, _ = _shape(module(stack.attention.o), f"{prefix}.{stack.attention.o}")
            columns = linear.columns(outputs, attended, heads)
        width = outputs if columns is None else len(columns)
        full = f"{prefix}.{path}"
        return Site(hookpoint, name, module(path), full, "output", width, outputs, columns)

    act, down = f"{prefix}.{stack.act}", f"{prefix}.{stack.down}"
    inputs = 0
    if "mlp." in kinds:
        inputs, _ = _shape(module(stack.down), down)
        yield Site("mlp.act", name, module(stack.act), act, "output", inputs, inputs)
        yield Site("mlp.down_in", name, module(stack.down), down, "input", inputs, inputs)
    for hookpoint, linear in stack.linears().items():
        if not hookpoint.startswith(kinds):
            continue
        if hookpoint in stack.sometimes and _submodule(layer, path_of(linear)) is None:
            continue
        site = output(hookpoint, linear)
        if hookpoint in ("mlp.up", "mlp.gate") and site.width != inputs:
            raise HookpointError(
                f"{site.module_name} has {site.width} outputs but {down} takes {inputs} inputs: "
                "its row in lsn_eval/models/families.py does not fit it"
            )
        yield site


def _shape(linear: nn.Module, name: str) -> tuple[int, int]:
    """Inputs and outputs of a linear layer: `nn.Linear` and its like, or GPT-2's `Conv1D`."""
    if shape := shape_of(linear):
        return shape
    raise HookpointError(
        f"{name} is a {type(linear).__name__}, which does not say how many inputs and outputs it "
        "has; a linear layer was expected there"
    )
