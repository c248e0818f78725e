"""Other libraries that set the same neurons to 0, each in an environment of its own.

    python -m benchmarks.peers NAME MODE DEVICE

prints rows as JSON, and `measured` runs that in an environment that it makes: the packages of this
one stand behind the peer's own, so that PyTorch is not installed again unless it must be another.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring import Options, interleaved, quiet

PACKAGES = {
    "nnsight": "nnsight==0.8.1",
    "pyvene": "pyvene==0.1.8",
    "transformer_lens": "transformer-lens==4.3.0",
}
ROOT = Path(__file__).parent.parent


def measured(name: str, options: Options) -> list[dict[str, Any]]:
    """A peer's rows; its environment is made unless it is there."""
    folder = ROOT / "build" / "benchmarks" / name
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        place = sysconfig.get_path("purelib", vars={"base": str(folder)})
        (Path(place) / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")
        install = [python, "-m", "pip", "install", "--quiet", PACKAGES[name]]
        subprocess.run(install, check=True)
        (folder / "ready").touch()
    command = [python, "-m", "benchmarks.peers", name, options.mode, options.device]
    done = subprocess.run(command, cwd=ROOT, env=quiet(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-1000:])
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def nnsight(model: Any, columns: list[Any]) -> Any:
    from nnsight import NNsight

    traced = NNsight(model)

    def call(tokens: Any, **options: Any) -> Any:
        with traced.trace(tokens, **options):
            for layer, own in zip(traced.model.layers, columns, strict=True):
                layer.mlp.act_fn.output[..., own] = 0
            output = traced.output.save()
        return output

    return call


def pyvene(model: Any, columns: list[Any]) -> Any:
    import pyvene

    sites = [
        {
            "component": f"model.layers[{number}].mlp.act_fn.output",
            "intervention": lambda values, source=None, own=own: values.index_fill(-1, own, 0),
        }
        for number, own in enumerate(columns)
    ]
    intervenable = pyvene.IntervenableModel(sites, model=model)
    return lambda tokens, **options: intervenable({"input_ids": tokens, **options})[1]


def transformer_lens(model: Any, columns: list[Any]) -> Any:
    """Its own implementation of the same shapes."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    like = model.config
    own = HookedTransformer(
        HookedTransformerConfig(
            n_layers=like.num_hidden_layers, d_model=like.hidden_size, d_vocab=like.vocab_size,
            n_ctx=like.max_position_embeddings, n_heads=like.num_attention_heads,
            d_head=like.hidden_size // like.num_attention_heads, d_mlp=like.intermediate_size,
            act_fn="silu", gated_mlp=True, normalization_type="RMS", final_rms=True,
            positional_embedding_type="rotary", rotary_dim=64, device=str(model.device),
        )
    )  # fmt: skip

    def zero(values: Any, hook: Any) -> Any:
        return values.index_fill_(-1, columns[hook.layer()], 0)

    hooks = [(f"blocks.{number}.mlp.hook_post", zero) for number in range(len(columns))]
    return lambda tokens: own.run_with_hooks(tokens, fwd_hooks=hooks)


def rows(name: str, options: Options) -> Iterator[dict[str, Any]]:
    import torch

    from benchmarks.models import llama, neurons, passes, patched

    for hidden in options.of((64,), (256,), (256, 1024)):
        model: Any = llama(hidden).to(options.device)
        chosen = neurons(model.config.intermediate_size)
        columns = [torch.as_tensor(found, device=options.device) for found in chosen]
        with torch.no_grad():
            peer = {"nnsight": nnsight, "pyvene": pyvene, "transformer_lens": transformer_lens}
            call = peer[name](model, columns)
            if name != "transformer_lens":  # its weights are its own
                tokens = torch.tensor([[3, 5, 7]], device=options.device)
                with patched(model, chosen, options.device):
                    expected = model(tokens).logits
                torch.testing.assert_close(call(tokens).logits, expected)
        for case, (timed, rounds) in passes(options).items():
            if name == "transformer_lens" and case.startswith("decode"):
                continue  # it has a cache of its own kind
            ways = {
                "plain": timed(model),
                f"{name}, zero": timed(call),
                "monkey-patch, zero": timed(model, partial(patched, model, chosen, options.device)),
            }
            group = f"intervening, {PACKAGES[name]}"
            case = f"{case}, hidden {hidden}"
            yield from interleaved(group, case, ways, rounds, options.device)


if __name__ == "__main__":
    print(json.dumps(list(rows(sys.argv[1], Options(*sys.argv[2:])))))
