"""The language of a task, from its configuration or its name, and the name without it."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

# ISO 639-1; the end of a task's name counts as a language only if it is one of these.
_CODES = (
    "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv "
    "cy da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr "
    "ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw "
    "ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv "
    "ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr "
    "ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi "
    "yo za zh zu"
)
_KNOWN = frozenset(_CODES.split())
_OTHERWISE = re.compile(
    r"^(agieval_(lsat_ar|jec_qa_ca)|arc_challenge_mt|csatqa_li|evalita-mp_(te|sa)|mmmlu_.*|pisa_ch"
    r"|xnli_eu_mt|zhoblimp_.*)$"
)
"""lm-eval's tasks whose names end in two letters that are no language of the text: parts of an exam
(`lsat_ar`: analytical reasoning), machine translation, regions, syntax."""
_SCRIPTED = re.compile(r"_([a-z]{3}_[A-Z][a-z]{3})$")


def language_of(task: str, config: Mapping[str, Any]) -> str | None:
    """The stated one; of a translation the one that is not English, else the target; else the code
    at the end of the name."""
    stated = config.get("dataset_kwargs") or {}
    if stated.get("language"):
        return str(stated["language"])
    source, target = stated.get("source"), stated.get("target")
    if source and target:
        return str(source if target == "en" else target)
    scripted = _SCRIPTED.search(task)
    if scripted:
        return scripted[1]
    code = task.rpartition("_")[2]
    return code if code != task and code in _KNOWN and not _OTHERWISE.search(task) else None


@functools.lru_cache(maxsize=1 << 16)
def family_of(task: str, language: str | None) -> str:
    """The task's name with `*` for the language."""
    parts = task.split("_")
    if language in parts:
        place = len(parts) - 1 - parts[::-1].index(str(language))
        return "_".join([*parts[:place], "*", *parts[place + 1 :]])
    ending = _SCRIPTED.search(task)
    return task[: ending.start()] + "_*" if ending and language else task
