"""Statistics with planted language neurons."""

from __future__ import annotations

import numpy as np

from lsn_eval.models.layout import ModelLayout
from lsn_eval.statistics import ActivationStats

LANGUAGES = ("de", "en", "zh")
LAYERS, WIDTH, TOKENS = 4, 250, 10_000


def planted_statistics(seed=0):
    """Ten planted neurons a language: firing nine times as often and with a mean of 3 there."""
    generator = np.random.RandomState(seed)
    shape = (len(LANGUAGES), LAYERS, WIDTH)
    rates = np.broadcast_to(generator.uniform(0.02, 0.3, size=shape[1:]), shape).copy()
    means = np.broadcast_to(generator.normal(-0.1, 0.1, size=shape[1:]), shape).copy()
    chosen = generator.permutation(LAYERS * WIDTH)[:30]
    planted = {}
    for number, language in enumerate(LANGUAGES):
        layer, neuron = np.divmod(np.sort(chosen[number * 10 : number * 10 + 10]), WIDTH)
        rates[:, layer, neuron] = 0.05
        means[:, layer, neuron] = -0.1
        rates[number, layer, neuron] = 0.97
        means[number, layer, neuron] = 3
        planted[language] = np.stack([layer, neuron], axis=1).tolist()
    positive = generator.binomial(TOKENS, rates).astype(np.int64)
    arrays = {
        "positive": positive,
        "mean": means + generator.normal(0, 0.01, size=shape),
        "variance": np.ones(shape),
        **{
            name: generator.normal(size=shape).astype(np.float32)
            for name in ("max", "p10", "median", "p90")
        },
    }
    stats = ActivationStats(
        model=ModelLayout.numbered(LAYERS, {"mlp.act": WIDTH}, type="llama", name="planted"),
        languages=LANGUAGES,
        tokens=dict.fromkeys(LANGUAGES, TOKENS),
        arrays={"mlp.act": arrays},
        provenance={"corpora": {language: [{"source": "made up"}] for language in LANGUAGES}},
    )
    return stats, planted
