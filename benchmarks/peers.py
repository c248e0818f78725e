"""Other libraries that set the same neurons to 0, each in an environment of its own, beside ours.

    python -m benchmarks.peers NAME MODE DEVICE

prints rows as JSON, and `measured` runs that in an environment that it makes: the packages of this
one stand behind the peer's own, so that PyTorch is not installed again unless it must be another,
and ours runs there too, with what versions the peer asks for.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measuring import Options, quiet

PACKAGES = {
    "nnsight": "nnsight==0.8.1",
    "pyvene": "pyvene==0.1.8",
    "transformer_lens": "transformer-lens==4.3.0",
}
ROOT = Path(__file__).parent.parent


def measured(name: str, options: Options) -> list[dict[str, Any]]:
    """A peer's rows; its environment is made unless it is there."""
    folder = Path(options.environments).absolute() / PACKAGES[name]
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", PACKAGES[name]]
        _put_behind(folder)
        subprocess.run(install, check=True)
        (folder / "ready").touch()
    _put_behind(folder)  # another environment may be running now than made it
    command = [python, "-m", "benchmarks.peers", name, options.mode, options.device]
    done = subprocess.run(command, cwd=ROOT, env=quiet(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-1000:])
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def _put_behind(folder: Path) -> None:
    place = sysconfig.get_path("purelib", vars={"base": str(folder)})
    Path(place, "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")


def nnsight(model: Any, columns: list[Any]) -> Any:
    from nnsight import NNsight

    traced = NNsight(model)

    def call(tokens: Any, **options: Any) -> Any:
        with traced.trace(tokens, **options):
            for layer, own in zip(traced.model.layers, columns, strict=True):
                layer.mlp.act_fn.output[..., own] = 0
            output = traced.output.save()
        return output.logits

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
    return lambda tokens, **options: intervenable({"input_ids": tokens, **options})[1].logits


def transformer_lens(model: Any, columns: list[Any]) -> Any:
    """Its bridge, which replaces attention by an eager one."""
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoTokenizer

    from lsn_eval.storage import shipped

    place = str(shipped.demo_model_dir())
    bridge = TransformerBridge.boot_transformers(
        place, device=str(model.device), hf_model=model,
        tokenizer=AutoTokenizer.from_pretrained(place),
    )  # fmt: skip
    for number, found in enumerate(columns):
        bridge.add_hook(
            f"blocks.{number}.mlp.out.hook_in",
            lambda values, hook, found=found: values.index_fill_(-1, found, 0),
        )
    return bridge


def rows(name: str, options: Options) -> list[dict[str, Any]]:
    from benchmarks import intervening

    found = list(intervening.rows(options, name, globals()[name]))
    for row in found:
        row["group"] = f"intervening, beside {PACKAGES[name]}"
        row["versions"] = {of: version(of) for of in ("torch", "transformers")}
    return found


if __name__ == "__main__":
    print(json.dumps(rows(sys.argv[1], Options(*sys.argv[2:]))))
