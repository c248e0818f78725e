"""How often the intervals of `lsn-eval compare` hold the truth, and how often its test finds what
is not there.

    OMP_NUM_THREADS=1 python benchmarks/interval_coverage.py

Documents are drawn from populations whose true change is known; each trial draws its own. Prints
JSON; the last figures are in benchmarks/interval_coverage.json (`--out` writes them). The standard
error of a share near 0.95 of 1,000 trials is 0.007.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator

from lsn_eval.comparing.corpus_scores import readings
from lsn_eval.comparing.kinds import MEAN, PERPLEXITY, Kind, Numbers
from lsn_eval.comparing.paired import Draws, bootstrapped, bounds, paired_changes
from lsn_eval.comparing.scores import Scores

LANGUAGES = 6
POPULATION = 200_000
Trial = Callable[[Generator, int], tuple[Scores, Scores]]


def scores(kind: Kind, columns: Numbers) -> Scores:
    documents = tuple((number, "", "", "") for number in range(len(columns)))
    return Scores(kind, documents, columns, (0,) * len(columns))


def losses(generator: Generator, count: int, effect: float) -> tuple[Numbers, Numbers]:
    """[document, loss and tokens] of both: lengths differ by a factor of ten and more, and long
    documents suffer a little more."""
    tokens = np.ceil(np.exp(generator.normal(4.0, 0.7, size=count)))
    base = tokens * generator.normal(1.2, 0.25, size=count)
    share = generator.normal(1.0, 0.8, size=count) * (tokens / 70) ** 0.2
    return np.stack([base, tokens], 1), np.stack([base + tokens * effect * share, tokens], 1)


def answers(generator: Generator, count: int, lost: float, won: float) -> tuple[Numbers, Numbers]:
    """Right or wrong: six in ten right, of which some are lost, and of the wrong some won."""
    before = generator.random(count) < 0.6
    change = generator.random(count)
    after = np.where(before, change >= lost, change < won)
    ones = np.ones(count)
    return np.stack([before, ones], 1), np.stack([after, ones], 1)


def translations(size: int) -> tuple[Kind, Numbers, Numbers]:
    """Counts of BLEU of made-up sentences, words replaced at random."""
    generator = np.random.default_rng(99)
    words = np.array([f"w{number}" for number in range(200)])

    def replaced(sentence: Numbers, share: float) -> str:
        wrong = generator.random(len(sentence)) < share
        return " ".join(np.where(wrong, generator.choice(words, size=len(sentence)), sentence))

    items: list[list[tuple[str, str]]] = [[], []]
    for _ in range(size):
        sentence = generator.choice(words, size=generator.integers(4, 40))
        hard = generator.beta(2, 6)
        for place, share in enumerate((hard, min(1.0, hard + 0.04))):
            items[place].append((" ".join(sentence), replaced(sentence, share)))
    ((kind, before),) = readings(items[0], "bleu")
    ((_, after),) = readings(items[1], "bleu")
    return kind, before, after


def true_shift(kind: Kind, before: Numbers, after: Numbers) -> float:
    return float(kind.on_scale(after.sum(axis=0)) - kind.on_scale(before.sum(axis=0)))


def covered(trial: Trial, truth: float, count: int, trials: int, resamples: int) -> float:
    hits = 0
    for number in range(trials):
        first, second = trial(np.random.default_rng((number, count)), count)
        spread = bootstrapped(first, [second], Draws(resamples=resamples, seed=number))[:, 0]
        low, high = bounds(spread, 0.95) or (np.nan, np.nan)
        hits += low <= truth <= high
    return hits / trials


def covered_selectivity(truth: float, count: int, trials: int, resamples: int) -> float:
    hits = 0
    for number in range(trials):
        generator = np.random.default_rng((number, count, 1))
        draws = Draws(resamples=resamples, seed=number)
        spread = np.zeros(resamples)
        for language in range(LANGUAGES):
            pair = losses(generator, count, 0.4 if language == 0 else 0.02)
            first, second = (scores(PERPLEXITY, columns) for columns in pair)
            weight = 1.0 if language == 0 else -1.0 / (LANGUAGES - 1)
            spread += weight * bootstrapped(first, [second], draws, language + 1)[:, 0]
        low, high = bounds(spread, 0.95) or (np.nan, np.nan)
        hits += low <= truth <= high
    return hits / trials


def false_alarms(trial: Trial, count: int, trials: int) -> float:
    """Share of p <= .05 where the two conditions are exchangeable."""
    hits = 0
    for number in range(trials):
        generator = np.random.default_rng((number, count, 2))
        first, second = trial(generator, count)
        swap = generator.random(count) < 0.5
        columns = np.where(swap[:, None], second.columns, first.columns)
        other = np.where(swap[:, None], first.columns, second.columns)
        draws = Draws(resamples=100, permutations=999, seed=number)
        before, after = (scores(first.kind, values) for values in (columns, other))
        hits += paired_changes([(before, after)], draws)[0].p <= 0.05
    return hits / trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, nargs="+", default=[20, 48, 200])
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()

    big = np.random.default_rng(123)
    own = true_shift(PERPLEXITY, *losses(big, 5 * POPULATION, 0.4))
    other = true_shift(PERPLEXITY, *losses(big, 5 * POPULATION, 0.02))
    small = true_shift(PERPLEXITY, *losses(big, 5 * POPULATION, 0.05))
    bleu, before, after = translations(20_000)

    def perplexity(generator: Generator, count: int) -> tuple[Scores, Scores]:
        first, second = losses(generator, count, 0.05)
        return scores(PERPLEXITY, first), scores(PERPLEXITY, second)

    def accuracy(generator: Generator, count: int) -> tuple[Scores, Scores]:
        first, second = answers(generator, count, 0.2, 0.1)
        return scores(MEAN, first), scores(MEAN, second)

    def bleu_of(generator: Generator, count: int) -> tuple[Scores, Scores]:
        chosen = generator.integers(0, len(before), size=count)
        return scores(bleu, before[chosen]), scores(bleu, after[chosen])

    given = arguments.trials, arguments.resamples
    figures = {
        "level": 0.95,
        "trials": arguments.trials,
        "resamples": arguments.resamples,
        "languages of the selectivity": LANGUAGES,
        "coverage": {
            str(count): {
                "log ratio of perplexities": covered(perplexity, small, count, *given),
                "difference of accuracies": covered(accuracy, 0.4 * 0.1 - 0.6 * 0.2, count, *given),
                "difference of BLEU": covered(
                    bleu_of, true_shift(bleu, before, after), count, *given
                ),
                "selectivity": covered_selectivity(own - other, count, *given),
            }
            for count in arguments.documents
        },
        "false alarms of the randomisation at 0.05": {
            str(count): {
                "perplexity": false_alarms(perplexity, count, arguments.trials),
                "accuracy": false_alarms(accuracy, count, arguments.trials),
                "BLEU": false_alarms(bleu_of, count, arguments.trials),
            }
            for count in arguments.documents
        },
    }
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
