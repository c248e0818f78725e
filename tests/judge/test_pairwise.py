"""Two answers in both orders: a position that is favoured wins nobody anything."""

from __future__ import annotations

import itertools
import re

import pytest
from builders.scripted_server import ScriptedServer, always, asked, session

from lsn_eval.judge import Answer, JudgeError
from lsn_eval.judge.answers import SavedAnswers
from lsn_eval.judge.pairwise import (
    Comparison,
    PairSummary,
    agree,
    read_verdict,
    same_questions,
)


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("A says more.\nVerdict: A", "A"),
        ("**Verdict: b**", "B"),
        ("Verdict: Tie.", "tie"),
        ("Verdict：A", "A"),
        ("Verdict: [[B]]", "B"),
        ("Verdict: A, B or tie", None),
        ("Verdict: C", None),
        ("Verdict: A\nor not", None),
        ("A", None),
        ("", None),
    ],
)
def test_the_last_line_is_the_verdict_or_there_is_none(reply, verdict):
    assert read_verdict(reply) == verdict


def test_a_side_wins_where_both_orders_say_so():
    agreed = {("A", "B"): "first", ("B", "A"): "second", ("tie", "tie"): "tie"}
    for verdicts in itertools.product(["A", "B", "tie", None], repeat=2):
        otherwise = "unjudged" if None in verdicts else "orders_disagree"
        assert agree(*verdicts) == agreed.get(verdicts, otherwise)


def pairs(count: int) -> list[tuple[Answer, Answer]]:
    return [
        tuple(Answer(str(i), f"question {i}?", f"{side} {i}") for side in ("first", "second"))
        for i in range(count)
    ]


def compare(server, folder, to_compare):
    with session(server, folder) as judge:
        return judge.compare(to_compare), judge


def test_each_pair_is_asked_in_both_orders(tmp_path):
    def script(number, body):
        """Favours `first`, but sees a tie at 1, always says A at 2, and mumbles at 3."""
        text = asked(body)
        if "question 1?" in text:
            return "Verdict: tie"
        if "question 2?" in text:
            return "Verdict: A"
        first_is_a = re.search(r"(first|second) \d", text)[1] == "first"
        if "question 3?" in text and not first_is_a:
            return "Hard to say."
        return "Verdict: A" if first_is_a else "Verdict: B"

    same = [(Answer("5", "q5", "equal"), Answer("5", "q5", "equal"))]
    with ScriptedServer(script).running() as server:
        found, judge = compare(server, tmp_path, pairs(5) + same)
        assert [c.result for c in found] == [
            "first", "tie", "orders_disagree", "unjudged", "first", "same_answer",
        ]  # fmt: skip
        assert found[3].reason == "none of 3 replies could be read"
        assert server.requests == 10 + 2
        assert judge.usage.replies == 12
        again, _ = compare(server, tmp_path, pairs(5) + same)
        assert again == found
        assert server.requests == 12
        swapped = [(second, first) for first, second in pairs(5)]
        assert [c.result for c in compare(server, tmp_path, swapped)[0]] == [
            "second", "tie", "orders_disagree", "unjudged", "second",
        ]  # fmt: skip
        assert server.requests == 12, "the same two requests in the other order"


def test_a_judge_that_favours_a_position_decides_nothing(tmp_path):
    with always("Verdict: A").running() as server:
        summary = PairSummary.of(compare(server, tmp_path, pairs(6))[0])
    assert (summary.ties, summary.win_rate, summary.interval_95) == (6, None, None)


def test_the_win_rate_leaves_ties_and_unjudged_out_and_has_a_wilson_interval():
    results = ["first"] * 12 + ["second"] * 4 + ["tie"] * 3 + ["orders_disagree"] * 2
    results += ["unjudged"] * 5
    summary = PairSummary.of([Comparison(str(i), r, None, ((), ())) for i, r in enumerate(results)])
    shown = vars(summary)
    assert (shown["wins"], shown["losses"], shown["ties"], shown["unjudged"]) == (12, 4, 5, 5)
    assert shown["win_rate"] == 0.75
    # Wilson 1927: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)
    p, n, z = 0.75, 16, 1.959964
    half = z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    centre = p + z**2 / (2 * n)
    assert shown["interval_95"] == pytest.approx(
        [(centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)], abs=1e-5
    )
    # 2 * P(X >= 12) for 16 throws of a coin
    assert shown["p_value"] == pytest.approx(2 * (1820 + 560 + 120 + 16 + 1) / 2**16)


def saved(source: str, answers: list[Answer]) -> SavedAnswers:
    return SavedAnswers("task", source, None, None, None, tuple(answers))


def test_different_questions_are_refused():
    one = [Answer("0", "why?", "a"), Answer("1", "how?", "b")]
    other = [one[0], Answer("1", "when?", "b")]
    for first, second, message in (
        (one, one[:1], r"document 1 \(1 in all\) is in left alone"),
        (one[:1], one, "is in right alone"),
        (one, other, "document 1 asks 'how.* in one and 'when"),
    ):
        with pytest.raises(JudgeError, match=message):
            same_questions(saved("left", first), saved("right", second))
    assert same_questions(saved("l", one), saved("r", one[::-1])) == [(a, a) for a in one]
