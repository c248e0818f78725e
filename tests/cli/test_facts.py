"""`lsn-eval facts`: what its tables say of results that are on disk."""

from __future__ import annotations

import csv
import io
import json

import pytest
from builders.commands import printed, refused
from builders.facts import prediction, write_facts


@pytest.fixture
def results(tmp_path):
    """German knows a and b, Chinese a alone, French none."""

    def fact(uuid, *fillings, **others):
        return prediction(uuid, "paris", *fillings, text=f"{uuid} [Y]", subject=uuid, **others)

    facts = {
        "de": [
            fact("a", "paris"),
            fact("b", "paris"),
            fact("c", "rom", "von paris", relation="P0"),
        ],
        "zh": [fact("a", "paris"), fact("b", "rom"), fact("c", "rom", relation="P0")],
        "fr": [fact("a", "rom"), fact("b", "rom")],
    }
    return write_facts(tmp_path / "results", facts)


def table(*words):
    return json.loads(printed("facts", *words, "--json"))


def test_relations(results):
    rows = table("relations", results, "--language", "de")
    assert {row["relation"]: (row["value"], row["facts"]) for row in rows} == {
        "all": (pytest.approx(2 / 3), 3), "P0": (0.0, 1), "P1": (1.0, 2), "mean": (0.5, 2),
    }  # fmt: skip
    shown = printed("facts", "relations", results, "--metric", "partial_match")
    assert "P@1 (partial_match): lsn_demo under none" in shown
    assert "model:lsn_demo|dtype:float32" in shown
    written = printed("facts", "relations", results, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(written)))
    assert {row["language"] for row in rows} == {"de", "zh", "fr"}


def test_overlap(results):
    rows = {(row["language"], row["other"]): row for row in table("overlap", results)}
    assert (rows["de", "zh"]["value"], rows["zh", "de"]["facts"]) == (0.5, 3)
    assert rows["de", "fr"]["value"] == 0.0
    lines = printed("facts", "overlap", results).splitlines()
    assert [line.split() for line in lines[2:5]] == [
        ["language", "de", "zh", "fr"], ["de", "0.500", "0.000"], ["zh", "0.500", "0.000"],
    ]  # fmt: skip


def test_sizes(results, tmp_path):
    sizes = tmp_path / "sizes.csv"
    sizes.write_text("language,size\nde,4\nzh,2\nfr,1\n")
    (row,) = table("sizes", results, "--sizes", sizes)
    assert (row["value"], row["languages"]) == (pytest.approx(0.98198, abs=1e-5), 3)
    sizes.write_text("language,size\nde,many\n")
    assert "a size is no number" in refused("facts", "sizes", results, "--sizes", sizes)
    for wrong, said in (("de,nan\nzh,2\n", "size of de"), ("de,4\nde,5\n", "language twice")):
        sizes.write_text(f"language,size\n{wrong}fr,1\n")
        assert said in refused("facts", "sizes", results, "--sizes", sizes)
    assert "one of full_match" in refused("facts", "relations", results, "--metric", "p1")
    sizes.write_text("lang\nde\n")
    assert "no column language, size" in refused("facts", "sizes", results, "--sizes", sizes)


def test_absent(results, tmp_path):
    (tmp_path / "de.txt").write_text("a ist Paris.\nb\nparis")
    words = ["absent", results, "--language", "de", "--texts", f"de={tmp_path / 'de.txt'}"]
    rows = {row["kind"]: row["value"] for row in table(*words)}
    assert rows == {"predicted": 2, "absent": 1, "shared tokens": 0, "naming cue": 0, "other": 1}
    assert "de                2       1              0           0      1" in printed(
        "facts", *words
    )
    printed("facts", *words, "--list", tmp_path / "list.csv")
    (line,) = csv.DictReader((tmp_path / "list.csv").read_text().splitlines())
    assert line == {
        "language": "de", "uuid": "b", "kind": "other", "text": "b [Y]", "object": "paris",
    }  # fmt: skip
    assert "--texts has no zh" in refused("facts", "absent", results, *words[4:])


def test_patterns(results, tmp_path):
    rows = {row["pattern"]: row["value"] for row in table("patterns", results, "--language", "de")}
    assert (rows["preposition"], sum(rows.values())) == (1, 1)
    (tmp_path / "tags.csv").write_text("language,word,tag\nde,von,ADJ\n")
    rows = table("patterns", results, "--lexicon", tmp_path / "tags.csv", "--language", "de")
    assert [row["pattern"] for row in rows if row["value"]] == ["adjective"]


def test_results_that_hold_no_such_facts_are_refused(results, tmp_path):
    said = refused("facts", "overlap", results, "--condition", "de:zero")
    assert "no lsn_mlama_* result under the condition 'de:zero'; the results have none" in said
    facts = {"de": [prediction("a", "paris", "rom")]}
    write_facts(tmp_path / "results" / "other", facts, model="another", stamp="2")
    assert "facts of one model with one mask were expected" in refused("facts", "overlap", results)
    for at, pll in (("de", "original"), ("fr", "word_l2r")):
        config = {"model_args": f"pretrained=lsn_demo,pll={pll}"}
        write_facts(tmp_path / "mixed" / at, {at: facts["de"]}, config=config)
    assert "pll=original and pll=word_l2r" in refused("facts", "overlap", tmp_path / "mixed")
    other = write_facts(tmp_path / "bare", facts)
    next(other.glob("samples_*")).unlink()
    assert "--log_samples" in refused("facts", "overlap", other)
    broken = write_facts(tmp_path / "broken", facts)
    next(broken.glob("samples_*")).write_text('{"doc_id": 0, "doc": {"uuid": 3}, "metrics": []}')
    assert "line 1" in refused("facts", "overlap", broken)
