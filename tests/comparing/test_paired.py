"""Paired tests against scipy, sacrebleu, and arithmetic on a slip of paper."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import sacrebleu
from builders.translations import translations
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest
from scipy import stats

from lsn_eval.comparing.corpus_scores import _together, readings
from lsn_eval.comparing.kinds import MEAN, PERPLEXITY, Kind
from lsn_eval.comparing.paired import (
    Draws,
    _swaps,
    bootstrapped,
    bounds,
    holm,
    matched,
    mean_intervals,
    paired_changes,
    same_responses,
)
from lsn_eval.comparing.scores import Scores
from lsn_eval.errors import LsnError


def scores(kind: Kind, columns, numbers=None) -> Scores:
    columns = np.asarray(columns, dtype=np.float64)
    numbers = range(len(columns)) if numbers is None else numbers
    documents = tuple((int(n), f"doc {n}", f"prompt {n}", "") for n in numbers)
    return Scores(kind, documents, columns, np.arange(len(columns)))


def means(values) -> Scores:
    return scores(MEAN, np.stack([values, np.ones(len(values))], axis=1))


def losses(loglikelihood, tokens) -> Scores:
    return scores(PERPLEXITY, np.stack([-np.asarray(loglikelihood), tokens], axis=1))


def data(count: int, seed: int, kind: str) -> tuple[Scores, Scores]:
    generator = np.random.default_rng(seed)
    if kind == "accuracy":
        first = (generator.random(count) < 0.6).astype(float)
        second = np.where(generator.random(count) < 0.3, 1 - first, first)
        return means(first), means(second)
    if kind == "mean":
        first = generator.normal(size=count)
        return means(first), means(first + generator.normal(0.3, 0.7, size=count))
    tokens = generator.integers(5, 90, size=count)
    first = -tokens * generator.normal(1.2, 0.2, size=count)
    return losses(first, tokens), losses(
        first - tokens * generator.normal(0.05, 0.1, count), tokens
    )


def paired_change(first: Scores, second: Scores, draws: Draws = Draws()):  # noqa: B008
    return paired_changes([(first, second)], draws)[0]


def statistic(kind: str):
    """Of columns x, y of the two conditions, [..., document]; slow words for what is meant."""
    if kind == "perplexity":
        return lambda x, y, axis: (
            (y[0].sum(axis) / y[1].sum(axis)) - (x[0].sum(axis) / x[1].sum(axis))
        )
    return lambda x, y, axis: y.mean(axis) - x.mean(axis)


@pytest.mark.parametrize("kind", ["mean", "accuracy"])
@pytest.mark.parametrize(("count", "drawn"), [(4, np.inf), (8, np.inf), (12, np.inf), (60, 9999)])
def test_randomisation_is_scipys_exactly_or_within_monte_carlo_error(kind, count, drawn):
    first, second = data(count, count, kind)
    expected = stats.permutation_test(
        (first.columns[:, 0], second.columns[:, 0]), statistic(kind), permutation_type="samples",
        n_resamples=drawn, vectorized=True, rng=np.random.default_rng(5),
    )  # fmt: skip
    found = paired_change(first, second, Draws())
    assert found.shift == pytest.approx(expected.statistic)
    p = min(1.0, expected.pvalue)
    # Two independent estimates; scipy doubles one tail, whose error is twice that of a share.
    error = 4 * math.sqrt(p * (1 - p) / drawn) * math.sqrt(1 + 2) + 2 / drawn
    assert found.p == pytest.approx(p, abs=error + 1e-12)


def test_exact_randomisation_of_a_perplexity_equals_a_loop_over_all_assignments():
    first, second = data(6, 3, "perplexity")
    found = paired_change(first, second, Draws())
    extreme = 0
    for assignment in range(2**6):
        a, b = [0.0, 0.0], [0.0, 0.0]
        for n in range(6):
            swap = assignment >> n & 1
            for total, source in ((a, second if swap else first), (b, first if swap else second)):
                total[0] += source.columns[n, 0]
                total[1] += source.columns[n, 1]
        extreme += abs(b[0] / b[1] - a[0] / a[1]) >= abs(found.shift) - 1e-12
    assert found.p == extreme / 2**6


@pytest.mark.parametrize("kind", ["mean", "accuracy", "perplexity"])
def test_bootstrap_agrees_with_scipy_within_monte_carlo_error(kind):
    first, second = data(50, 2, kind)
    resamples = 20_000
    if kind == "perplexity":
        columns = (*first.columns.T, *second.columns.T)

        def measure(a, b, c, d, axis):
            return statistic(kind)((a, b), (c, d), axis)
    else:
        columns = (first.columns[:, 0], second.columns[:, 0])
        measure = statistic(kind)
    expected = stats.bootstrap(
        columns, measure, n_resamples=resamples, method="percentile", paired=True, vectorized=True,
        rng=np.random.default_rng(7),
    )  # fmt: skip
    draws = Draws(resamples=resamples)
    found = paired_change(first, second, draws).interval
    deviation = expected.bootstrap_distribution.std()
    # The standard error of a 2.5 % quantile of n draws is sqrt(.025 * .975 / n) / density, and the
    # density of a normal there is 0.0584 / deviation; two of them; four of that. Means of 0 and 1
    # move in steps of 1 / documents.
    error = 4 * math.sqrt(2 * 0.025 * 0.975 / resamples) / 0.0584 * deviation
    step = 1 / 50 if kind == "accuracy" else 0
    assert found == pytest.approx(tuple(expected.confidence_interval), abs=error + step + 1e-12)


def corpus(metric: str, hypotheses, references, upstream: bool) -> Scores:
    """As lm-eval logs (reference, translation), or as this project does, the other way round."""
    items = [
        (reference, text) if upstream else (text, reference)
        for text, reference in zip(hypotheses, references, strict=True)
    ]
    if metric == "bleu" and not upstream:
        items = [(*item, "13a") for item in items]
    wanted = "reference first" if upstream else "translation first"
    (found,) = [x for x in readings(items, metric) if x[0].name.endswith(wanted)]
    return scores(found[0], found[1])


SCORERS = {"bleu": BLEU, "chrf": CHRF, "chrf++": lambda: CHRF(word_order=2), "ter": TER}


@pytest.mark.parametrize("metric", SCORERS)
def test_corpus_scores_of_resampled_sentences_are_sacrebleus(metric):
    references, hypotheses, _ = translations(12, 0.0, 1)
    hypotheses[3] = ""
    upstream = metric != "chrf++"
    found = corpus(metric, hypotheses, references, upstream)
    generator = np.random.default_rng(0)
    for size in (1, 2, 12, 12, 12):  # of one sentence, some n-grams are missing
        chosen = generator.integers(0, 12, size=size)
        weights = np.bincount(chosen, minlength=12)
        expected = SCORERS[metric]().corpus_score(
            [hypotheses[n] for n in chosen], [[references[n] for n in chosen]]
        )
        assert found.kind.value(weights @ found.columns) == pytest.approx(expected.score, abs=1e-9)
    nothing = found.columns[3]
    assert found.kind.value(nothing) == pytest.approx(
        SCORERS[metric]().corpus_score([""], [[references[3]]]).score
    )


@pytest.mark.parametrize("metric", SCORERS)
def test_the_formulas_are_sacrebleus_for_every_sentence(metric):
    """Sentences lack n-grams: the smoothing of BLEU, the orders of chrF."""
    references, hypotheses, _ = translations(40, 0.0, 2)
    hypotheses[::3] = [" ".join(text.split()[::-1]) for text in hypotheses[::3]]
    hypotheses[:4] = ["", "the", "cat the", "nothing of it"]
    references[5] = ""
    scorer = SCORERS[metric]()
    counts = np.asarray(scorer._extract_corpus_statistics(hypotheses, [references]), dtype=float)
    expected = [scorer._compute_score_from_stats(row.tolist()).score for row in counts]
    assert _together(scorer)(counts) == pytest.approx(expected, abs=1e-9)


def test_where_a_formula_is_not_sacrebleus_sacrebleu_is_called(monkeypatch):
    references, hypotheses, _ = translations(6, 0.0, 2)
    module = "lsn_eval.comparing.corpus_scores._bleu"
    monkeypatch.setattr(module, lambda sums: sums[..., 0] * 0.0)
    found = corpus("bleu", hypotheses, references, True)
    expected = sacrebleu.corpus_bleu(hypotheses, [references]).score
    assert found.value == pytest.approx(expected)


def test_our_own_bleu_takes_the_tokenizer_that_was_logged():
    items = [("一个 红 的 房子 里", "一个红的房子里有猫", "char")] * 2
    ((kind, counts),) = readings(items, "bleu")
    expected = sacrebleu.corpus_bleu([items[0][0]] * 2, [[items[0][1]] * 2], tokenize="char").score
    assert kind.value(counts.sum(axis=0)) == pytest.approx(expected)
    for others in (("char", "13a"), ("no such", "no such")):
        named = [(*item[:2], name) for item, name in zip(items, others, strict=True)]
        assert not list(readings(named, "bleu"))


@pytest.mark.parametrize("metric", SCORERS)
@pytest.mark.parametrize("noise", [0.02, 0.12])
def test_randomisation_and_bootstrap_agree_with_sacrebleus_paired_tests(metric, noise):
    references, first, second = translations(60, noise, 11)
    upstream = metric != "chrf++"
    a, b = (corpus(metric, texts, references, upstream) for texts in (first, second))
    trials = 2000
    found = paired_change(a, b, Draws(permutations=trials, resamples=trials))

    def test(kind):
        scorer = SCORERS[metric]()
        _, results = PairedTest(
            [("first", first), ("second", second)], {"m": scorer}, [references],
            test_type=kind, n_samples=trials, n_jobs=1,
        )()  # fmt: skip
        return next(pair[1] for name, pair in results.items() if name != "System")

    expected = test("ar").p_value
    error = math.sqrt(2 * max(expected, 0.001) * (1 - expected) / trials)
    # sacrebleu leaves out ties (`>`), of which TER, a count of edits, has many; here they count.
    (swaps,) = _swaps(60, Draws(permutations=trials))
    part = swaps @ (b.columns - a.columns)
    scale = a.kind.on_scale
    moved = np.abs(scale(b.columns.sum(0) - part) - scale(a.columns.sum(0) + part))
    strict = (1 + (moved > abs(found.shift) + 1e-9).sum()) / (1 + trials)
    assert abs(strict - expected) < 4 * error + 2 / trials
    assert found.p >= strict
    assert metric == "ter" or found.p == strict
    # sacrebleu's bootstrap gives the mean and half the interval of the second system alone.
    resampled = test("bs")
    weights = np.random.default_rng(3).multinomial(60, np.full(60, 1 / 60), size=trials)
    ours = b.kind.on_scale(weights @ b.columns)
    assert ours.mean() == pytest.approx(resampled.mean, abs=4 * ours.std() * math.sqrt(2 / trials))
    low, high = bounds(ours, 0.95)
    assert (high - low) / 2 == pytest.approx(resampled.ci, rel=0.12)
    spread = bootstrapped(a, [b], Draws(resamples=trials))
    assert spread.mean() == pytest.approx(found.shift, abs=0.25 * spread.std())


def test_holm_by_hand():
    # Holm (1979): the smallest of m times m, the next times m - 1, never falling, never above 1.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_equal_means_of_other_documents_are_not_equal_and_equal_documents_are():
    same = means([1, 0, 1, 0, 1, 1])
    other = means([0, 1, 1, 0, 1, 1])
    by_chance = paired_change(same, other, Draws())
    assert (by_chance.shift, by_chance.p, by_chance.equal) == (0, 1.0, False)
    assert by_chance.interval[0] < 0 < by_chance.interval[1]
    nothing = paired_change(same, same, Draws())
    assert (nothing.shift, nothing.p, nothing.interval, nothing.equal) == (0, 1.0, (0, 0), True)


def test_rounding_does_not_hide_a_tie():
    # 0.1 + 0.2 + ... in another order differs in the last digit.
    first = means([0.1, 0.2, 0.3, 0.4, 0.7, 0.6])
    second = means([0.3, 0.1, 0.2, 0.7, 0.6, 0.4])
    assert paired_change(first, second, Draws()).p == 1.0


def test_documents_that_a_metric_leaves_out_are_drawn_and_count_nothing():
    generator = np.random.default_rng(0)
    hits = generator.integers(0, 2, size=40).astype(float)
    kept = np.ones(40)
    kept[::9] = 0
    first = scores(MEAN, np.stack([hits, np.ones(40)], axis=1))
    second = scores(MEAN, np.stack([(1 - hits) * kept, kept], axis=1))
    found = paired_change(first, second, Draws())
    assert found.shift == pytest.approx(((1 - hits) * kept).sum() / kept.sum() - hits.mean())
    rare = scores(MEAN, np.stack([np.eye(40)[0], np.eye(40)[0]], axis=1))
    assert paired_change(first, rare, Draws()).interval is None


def test_only_the_same_documents_and_statistics_are_compared():
    first = means([1.0, 0.0, 1.0])
    with pytest.raises(
        LsnError, match="3 documents under none and 2 under the condition, of which 2"
    ):
        matched(first, means([1.0, 0.0]))
    before, _, after = first.documents
    changed = replace(first, documents=(before, (1, "other", "prompt 1", ""), after))
    with pytest.raises(LsnError, match="differ in 1 of 3 samples"):
        matched(first, changed)
    with pytest.raises(LsnError, match="not the same statistic"):
        matched(first, losses([-1.0, -2.0, -3.0], [1, 1, 1]))
    shuffled = scores(MEAN, [[9, 1], [7, 1], [8, 1]], numbers=[2, 0, 1])
    second = matched(first, shuffled)
    assert second[:, 0].tolist() == [7, 8, 9]
    assert not same_responses(first, shuffled)
    assert same_responses(first, first)


def test_draws_are_the_same_every_time_and_others_for_another_seed():
    first, second = data(40, 4, "mean")
    found = paired_change(first, second, Draws())
    assert found == paired_change(first, second, Draws())
    assert found.interval != paired_change(first, second, Draws(seed=1)).interval
    assert found.p != paired_change(first, second, Draws(seed=1)).p
    assert not np.array_equal(
        bootstrapped(first, [second], Draws(), 1), bootstrapped(first, [second], Draws(), 2)
    )
    assert len(bootstrapped(first, [second], Draws(resamples=321))) == 321


def test_a_corpus_too_large_to_keep_draws_of_gives_the_same_as_one_block(monkeypatch):
    first, second = data(300, 6, "perplexity")
    expected = paired_change(first, second, Draws(resamples=150, permutations=199))
    monkeypatch.setattr("lsn_eval.comparing.paired._REMEMBERED", 0)
    monkeypatch.setattr("lsn_eval.comparing.paired._AT_ONCE", 7 * 300)
    found = paired_change(first, second, Draws(resamples=150, permutations=199))
    assert found.p == pytest.approx(expected.p, abs=0.1)
    assert found.interval == pytest.approx(expected.interval, abs=0.02)


def test_pairs_that_are_tested_at_once_get_what_each_gets_alone(monkeypatch):
    pairs = [data(50, seed, kind) for kind in ("mean", "perplexity") for seed in range(4)]
    short, other = data(9, 1, "mean")
    gaps = scores(PERPLEXITY, other.columns * (np.arange(9) < 1)[:, None])
    pairs += [(short, short), (short, other), (scores(PERPLEXITY, short.columns), gaps)]
    alone = [paired_change(*pair, Draws()) for pair in pairs]
    assert alone[-1].interval is None
    monkeypatch.setattr("lsn_eval.comparing.paired._MULTIPLIED_AT_ONCE", 3000)
    for found, one in zip(paired_changes(pairs, Draws()), alone, strict=True):
        assert found.interval == (one.interval and pytest.approx(one.interval))
        assert replace(found, interval=None) == replace(one, interval=None)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"resamples": 10}, "too few"), ({"permutations": 9}, "too few"), ({"level": 95}, "0.95")],
)
def test_draws_that_make_no_sense_are_refused(given, said):
    with pytest.raises(LsnError, match=said):
        Draws(**given)


def test_percentile_intervals_cover_about_as_often_as_measured():
    """48 documents, as the demo has: 92 to 94 % in benchmarks/interval_coverage.json."""
    generator = np.random.default_rng(1)
    covered, trials = 0, 300
    for _ in range(trials):
        tokens = generator.integers(20, 80, size=48)
        base = -3.0 * tokens + generator.normal(0, 5, size=48)
        loss = generator.normal(0.2, 0.15, size=48) * tokens
        first, second = losses(base, tokens), losses(base - loss, tokens)
        spread = bootstrapped(first, [second], Draws(resamples=500))
        low, high = bounds(spread[:, 0], 0.95)
        covered += low <= 0.2 <= high
    assert 0.89 <= covered / trials <= 0.98


def test_intervals_of_means_are_those_of_resampled_documents():
    values = np.random.default_rng(5).normal([0, 10, -3], size=(40, 3))
    low, high = mean_intervals(values, Draws(resamples=400, seed=7))
    for column in range(3):
        generator = np.random.default_rng(column)
        means = [
            np.mean([values[generator.integers(40), column] for _ in range(40)]) for _ in range(400)
        ]
        expected = np.quantile(means, [0.025, 0.975])
        assert (low[column], high[column]) == pytest.approx(expected, abs=0.08)
        assert low[column] < values[:, column].mean() < high[column]
