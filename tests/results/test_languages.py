"""The language of a task, and its name without it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

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
        ("belebele_zho_Hans", {}, "zh", "belebele_*"),
        ("belebele_zho_Hant", {}, "zho_Hant", "belebele_*"),
        ("belebele_deu_Latn", {}, "de", "belebele_*"),
        ("belebele_arb_Latn", {}, "arb_Latn", "belebele_*"),
        ("belebele_kac_Latn", {}, "kac", "belebele_*"),
        ("sib_fra_prompt_3", {}, "fr", "sib_*_prompt_3"),
        ("multiblimp_ces", {}, "cs", "multiblimp_*"),
        ("sib", {}, None, "sib"),
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


UPSTREAM = [
    (
        "belebele",
        "belebele_*",
        122,
        {"deu_Latn": "de", "zho_Hans": "zh", "swh_Latn": "sw", "pes_Arab": "fa"},
    ),
    ("afrobench/sib/prompt_1", "sib_*_prompt_1", 56, {"eng": "en", "fra": "fr", "swa": "sw"}),
    ("multiblimp", "multiblimp_*", 101, {"deu": "de", "arb": "ar"}),
    ("xnli", "xnli_*", 15, {"de": "de"}),
    ("xcopa", "xcopa_*", 11, {"et": "et"}),
    ("xstorycloze", "xstorycloze_*", 11, {"my": "my"}),
    ("paws-x", "paws_*", 7, {"ja": "ja"}),
    ("lambada_multilingual", "lambada_openai_mt_*", 5, {"it": "it"}),
    ("mgsm/direct", "mgsm_direct_*", 11, {"te": "te"}),
    ("okapi/mmlu_multilingual", "m_mmlu_*", 34, {"hy": "hy"}),
    ("okapi/hellaswag_multilingual", "hellaswag_*", 30, {"sk": "sk"}),
    ("okapi/arc_multilingual", "arc_*", 31, {"uk": "uk"}),
]
"""Folders of lm-eval, families, tasks in them, and some of the languages by their codes there."""


@pytest.mark.parametrize(("folder", "family", "count", "some"), UPSTREAM)
def test_lm_evals_own_tasks_are_grouped_by_language(folder, family, count, some):
    (root,) = importlib.util.find_spec("lm_eval").submodule_search_locations
    files = (Path(root) / "tasks" / folder).rglob("*.yaml")
    found = (
        re.search(r"^\"?task\"?: +\"?([\w-]+)", file.read_text("utf-8"), re.M) for file in files
    )
    names = {match[1] for match in found if match}
    languages = {name: language_of(name, {}) for name in names}
    assert len(names) == count
    assert None not in languages.values()
    assert len(set(languages.values())) == count  # no two meet
    assert {family_of(*named) for named in languages.items()} == {family}
    for code, language in some.items():
        assert languages[family.replace("*", code)] == language
