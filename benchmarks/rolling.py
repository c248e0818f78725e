"""Rolling log-likelihoods in batches: `lsn_hf` beside lm-eval's `hf`, with equal sums."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from benchmarks.measuring import Options, counted, interleaved, work
from lsn_eval.harness.lsn_hf import LsnHF
from lsn_eval.storage import shipped

SIZE = 16
"""Of a batch."""


def rows(options: Options) -> Iterator[dict[str, Any]]:
    given = {"dtype": "float32", "device": options.device, "batch_size": SIZE}
    hf = HFLM(str(shipped.demo_model_dir()), **given)
    ours = {
        f"lsn_hf, {condition}": LsnHF("lsn_demo", mask="demo/planted", condition=condition, **given)
        for condition in ("none", "de:zero")
    }
    texts = []
    for file in sorted((shipped.tasks_dir() / "demo" / "data").glob("*.jsonl")):
        documents = map(json.loads, file.read_text("utf-8").splitlines())
        found = [document["text"] for document in documents if "text" in document]
        texts += found[: options.of(2, None, None)]
    needed = sum(len(hf.tok_encode(text)) for text in texts)
    models, sums = {"hf": hf, **ours}, {}
    for name, model in models.items():
        sums[name], computed = _run(model, texts)
        yield counted("rolling", "tokens computed", "tokens needed", name, computed / needed)
    if not np.allclose(sums["hf"], sums["lsn_hf, none"], rtol=1e-5):
        raise SystemExit("rolling log-likelihoods differ from hf's")
    timed = texts[:: options.of(1, 6, 1)]
    ways = {name: work(lambda m=model: _run(m, timed)) for name, model in models.items()}
    case = f"{len(timed)} texts, batch size {SIZE}"
    yield from interleaved("rolling", case, ways, options.of(1, 3, 15), options.device)


def _run(model: HFLM, texts: list[str]) -> tuple[list[float], int]:
    """Log-likelihoods, and tokens that the model was run on."""
    asked = [
        Instance("loglikelihood_rolling", {}, (text,), number) for number, text in enumerate(texts)
    ]
    computed: list[int] = []
    count = model.model.register_forward_pre_hook(
        lambda _, inputs: computed.append(inputs[0].numel())
    )
    with count:
        return model.loglikelihood_rolling(asked, disable_tqdm=True), sum(computed)
