"""The language of a task, and its name without it."""

from __future__ import annotations

import pytest

from lsn_eval.results.languages import family_of, language_of


@pytest.mark.parametrize(
    ("task", "config", "language", "family"),
    [
        ("lsn_ppl_de", {"dataset_kwargs": {"language": "de"}}, "de", "lsn_ppl_*"),
        ("de_ppl_long", {"dataset_kwargs": {"language": "de"}}, "de", "*_ppl_long"),
        ("de_to_de", {"dataset_kwargs": {"language": "de"}}, "de", "de_to_*"),
        ("flores_en_de", {"dataset_kwargs": {"source": "en", "target": "de"}}, "de", "flores_en_*"),
        ("flores_de_en", {"dataset_kwargs": {"source": "de", "target": "en"}}, "de", "flores_*_en"),
        ("flores_de_fr", {"dataset_kwargs": {"source": "de", "target": "fr"}}, "fr", "flores_de_*"),
        ("belebele_zho_Hans", {}, "zho_Hans", "belebele_*"),
        ("agieval_lsat_ar", {}, None, "agieval_lsat_ar"),
        ("arc_challenge_mt", {}, None, "arc_challenge_mt"),
        ("mmmlu_es_la", {}, None, "mmmlu_es_la"),
        ("arc_challenge_mt_de", {}, "de", "arc_challenge_mt_*"),
        ("belebele_zho_Hans", {"dataset_kwargs": {"language": "zh"}}, "zh", "belebele_*"),
        ("xnli_de", {"dataset_kwargs": None}, "de", "xnli_*"),
        ("hellaswag", {}, None, "hellaswag"),
        ("race_qa", {}, None, "race_qa"),
        ("de", {}, None, "de"),
        ("lsn_demo_ppl", {}, None, "lsn_demo_ppl"),
        ("lsn_x", {"dataset_kwargs": {"language": "quz"}}, "quz", "lsn_x"),
    ],
)
def test_languages_and_families(task, config, language, family):
    assert language_of(task, config) == language
    assert family_of(task, language) == family
