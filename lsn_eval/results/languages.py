"""The language of a task, from its configuration or its name, and the name without it."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from lsn_eval.language_scores.codes import ISO_639_1, of_label, of_language
from lsn_eval.language_scores.scripts import scripts_of

LANGUAGE_ACCURACY = "lsn_language_accuracy"
"""The metric: share of answers in the task's language."""
TARGET_ACCURACY = "lsn_target_accuracy_"
"""With a language behind it the metric: share of answers in that language, whatever the task's."""

_OTHERWISE = re.compile(
    r"^(agieval_(lsat_ar|jec_qa_ca)|arc_challenge_mt|csatqa_li|evalita-mp_(te|sa)|mmmlu_.*|pisa_ch"
    r"|xnli_eu_mt|zhoblimp_.*)$"
)
"""lm-eval's tasks whose names end in two letters that are no language of the text: parts of an exam
(`lsat_ar`: analytical reasoning), machine translation, regions, syntax."""
_CODE = re.compile(
    r"_(?P<scripted>[a-z]{3}_[A-Z][a-z]{3})$|^(?:multiblimp|sib)_(?P<alone>[a-z]{3})(?=$|_prompt_\d$)"
)
"""Three letters with a script, in whatever task; without one, in two families of lm-eval's."""


def language_of(task: str, config: Mapping[str, Any]) -> str | None:
    """The stated one; of a translation the one that is not English, else the target; else the code
    at the end of the name, as short as it can be: `belebele_deu_Latn` is `de`. A second script of a
    language stays apart (`zho_Hant`, `arb_Latn`)."""
    stated = config.get("dataset_kwargs") or {}
    if stated.get("language"):
        return str(stated["language"])
    source, target = stated.get("source"), stated.get("target")
    if source and target:
        return str(source if target == "en" else target)
    if found := _CODE.search(task):
        if found["alone"]:
            return of_language(found["alone"])
        code = of_label(found["scripted"])
        latin = found["scripted"].endswith("_Latn") and "Latin" not in scripts_of(code)
        return found["scripted"] if latin or found["scripted"] == "zho_Hant" else code
    code = task.rpartition("_")[2]
    return code if code != task and code in ISO_639_1 and not _OTHERWISE.search(task) else None


def target_of(metric: str) -> str | None:
    """The language that a metric measures answers against, None of any other metric."""
    return metric.removeprefix(TARGET_ACCURACY) if metric.startswith(TARGET_ACCURACY) else None


def language_of_answers(language: str | None, config: Mapping[str, Any]) -> str | None:
    """Of a translation the target language, whichever the task is counted to; else the task's."""
    stated = config.get("dataset_kwargs")
    target = stated.get("target") if isinstance(stated, Mapping) else None
    return str(target) if target else language


@functools.lru_cache(maxsize=1 << 16)
def family_of(task: str, language: str | None) -> str:
    """The task's name with `*` for the language."""
    if language and (found := _CODE.search(task)):
        start, end = found.span("alone" if found["alone"] else "scripted")
        return f"{task[:start]}*{task[end:]}"
    parts = task.split("_")
    if language in parts:
        place = len(parts) - 1 - parts[::-1].index(str(language))
        return "_".join([*parts[:place], "*", *parts[place + 1 :]])
    return task
