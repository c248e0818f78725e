"""What recording is held against: a plain loop over single rows, with hooks of its own."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from lsn_eval.masks.names import quantile_share
from lsn_eval.models.resolving import resolve
from lsn_eval.statistics import ActivationStats

TEXTS = {
    "de": [f"Der {number}. Satz ist kurz." for number in range(23)],
    "fr": [f"La phrase numéro {number}, un peu plus longue." for number in range(17)],
}


def plain_loop(
    model: nn.Module, hookpoints: list[str], rows: list[list[int]]
) -> dict[str, np.ndarray]:
    """Values [token, layer, neuron] by hookpoint, one row at a time, through hooks of its own."""
    found = resolve(model)
    layers = found.layers_with(hookpoints)
    decoder = "decoder_input_ids" if model.config.is_encoder_decoder else None
    seen: dict[tuple[str, str], list[torch.Tensor]] = {}
    handles = []
    for hookpoint in hookpoints:
        for layer in layers:
            site = found.site(hookpoint, layer)

            def keep(module, args, output=None, site=site, key=(hookpoint, layer)):
                value = args[0] if site.side == "input" else output
                value = value.detach().clone().reshape(-1, site.extent)
                if site.columns is not None:
                    value = value[:, torch.as_tensor(site.columns)]
                seen.setdefault(key, []).append(value)

            register = (
                site.module.register_forward_pre_hook
                if site.side == "input"
                else site.module.register_forward_hook
            )
            handles.append(register(keep))
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row])
            model(input_ids=ids, **({decoder: ids} if decoder else {}))
    for handle in handles:
        handle.remove()
    return {
        hookpoint: torch.stack([torch.cat(seen[hookpoint, layer]) for layer in layers], dim=1)
        .float()
        .numpy()
        for hookpoint in hookpoints
    }


def packed(tokenizer, texts: list[str], length: int) -> list[list[int]]:
    ids = [i for text in texts for i in tokenizer(text, add_special_tokens=False)["input_ids"]]
    return [ids[at : at + length] for at in range(0, len(ids) - length + 1, length)]


def assert_equals_loop(
    stats: ActivationStats, language: str, loop: dict[str, np.ndarray], tolerance: float
) -> None:
    number = stats.language_index(language)
    for hookpoint, values in loop.items():
        wide = values.astype(np.float64)
        assert stats.tokens[language] == len(values)
        of = {name: stats.get(hookpoint, name)[number] for name in stats.names(hookpoint)}
        # Batches round otherwise than single rows: a value within rounding of 0 may change sides.
        near = (np.abs(wide) < tolerance).sum(0)
        assert (np.abs(of["positive"] - (wide > 0).sum(0)) <= near).all()
        close = {"rtol": tolerance, "atol": tolerance}
        np.testing.assert_allclose(of["mean"], wide.mean(0), **close)
        np.testing.assert_allclose(of["variance"], wide.var(0), **close)
        np.testing.assert_allclose(of["max"], wide.max(0), **close)
        for name in filter(quantile_share, of):
            exact = np.quantile(wide, quantile_share(name), axis=0)
            np.testing.assert_allclose(
                of[name], exact, rtol=1e-3 + tolerance, atol=1e-4 + tolerance
            )


def assert_same(a: ActivationStats, b: ActivationStats) -> None:
    """Equal to the last bit, in everything but provenance."""
    assert a.digest == b.digest
    assert_same_responses(a, b)


def assert_same_responses(a: ActivationStats, b: ActivationStats) -> None:
    assert (a.texts is None) == (b.texts is None)
    if a.texts is not None:
        np.testing.assert_array_equal(a.texts.index, b.texts.index)
        for hookpoint in a.hookpoints:
            for layer in a.model.layers:
                np.testing.assert_array_equal(
                    a.responses(hookpoint, layer), b.responses(hookpoint, layer)
                )
