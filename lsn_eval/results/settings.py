"""What a number was measured with besides model, mask and condition: settings that have to be equal
for two numbers of a task to be compared."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from lsn_eval.errors import LsnError
from lsn_eval.storage.masked_secrets import masked

Item = TypeVar("Item")
UNKNOWN = "unknown"
OF_A_LANGUAGE = frozenset({"task definition", "documents", "prompts", "task version"})
"""Settings that may differ from language to language of one family of tasks."""
OF_THE_MODEL = frozenset(
    {
        "dtype", "model revision", "model arguments", "parameters", "tokenizer", "chat template",
        "transformers",
    }
)  # fmt: skip
"""Settings that belong to a model, so that two models may differ in them."""
VERSIONS = frozenset({"lsn_eval", "lm_eval", "transformers", "torch"})
"""Settings across which a regression check holds numbers; it says that they changed."""

_DEFINITION = (
    "dataset_path", "dataset_name", "dataset_kwargs", "custom_dataset", "test_split",
    "validation_split", "process_docs", "doc_to_text", "doc_to_target", "doc_to_choice",
    "doc_to_image", "doc_to_audio", "description", "gen_prefix", "target_delimiter", "output_type",
    "repeats", "filter_list", "process_results", "metric_list",
)  # fmt: skip
_OF_SHOTS = ("fewshot_split", "fewshot_delimiter", "fewshot_config")
_WHERE_BOTH = {
    "model revision", "prompts", "few-shot definition", "few-shot seed", "few-shot as turns",
    "lsn_eval", "parameters", "data root", "torch", "loaded model",
}  # fmt: skip
_ELSEWHERE = frozenset(
    {
        "pretrained", "model", "mask", "condition", "dtype", "batch_size", "max_batch_size",
        "device", "trust_remote_code", "parallelize", "device_map", "max_memory_per_gpu",
        "max_cpu_memory", "offload_folder", "gpus",
    }
)  # fmt: skip
"""Model arguments that a row states by itself, or that change rounding at most."""
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Of a function without source, another one in every process."""
_TORCH = re.compile(r"PyTorch version: ([0-9][\w.]*)")
"""In what lm-eval says of the machine; without the build for it, such as `+cpu`."""
_TOKENIZER = ("tokenizer_bos_token", "tokenizer_eos_token", "tokenizer_pad_token", "max_length")


def run_settings(document: Mapping[str, Any], task: str) -> dict[str, str]:
    """Settings of a task in lm-eval's results file, by the names that messages call them; of a
    group those of its tasks."""
    members = [name for name in _members(document, task) if name in document["configs"]]
    first, *others = [_of_task(document, name) for name in members or [task]]
    if all(other == first for other in others):
        return first
    together = {name: [first[name], *(other[name] for other in others)] for name in first}
    return {
        name: values[0] if len(set(values)) == 1 else _digest(values)
        for name, values in together.items()
    }


def _members(document: Mapping[str, Any], group: str) -> list[str]:
    """Tasks of a group, those of groups in it included; a group without any is a task."""
    waiting, seen, tasks = [group], {group}, set()
    while waiting:
        name = waiting.pop()
        below = about(document, "group_subtasks", name)
        members = [x for x in below if isinstance(x, str)] if isinstance(below, list) else []
        if not members and name != group:
            tasks.add(name)
        waiting += [x for x in members if x not in seen]
        seen |= set(members)
    return sorted(tasks)


def _of_task(document: Mapping[str, Any], task: str) -> dict[str, str]:
    config = document["config"]
    task_config = mapping(about(document, "configs", task))
    shots, samples, hashed, version = (
        about(document, key, task) for key in ("n-shot", "n-samples", "task_hashes", "versions")
    )
    given = config.get("gen_kwargs")
    generation = {
        **mapping(task_config.get("generation_kwargs")),
        **(mapping(given) or ({"given": given} if given else {})),
    }
    record = mapping(config.get("lsn"))
    elsewhere = _ELSEWHERE | {"peft"} if "tuning" in record else _ELSEWHERE
    further = [
        f"{name}={masked(value, name)}"
        for name, value in sorted(model_arguments(config).items())
        if name not in elsewhere and value is not None
    ]
    torch = _TORCH.search(str(document.get("pretty_env_info")))
    defined = {name: task_config.get(name) for name in _DEFINITION}
    shown = {name: task_config.get(name) for name in _OF_SHOTS}
    found: dict[str, Any] = {
        "dtype": dtype_of(config),
        "model revision": config.get("model_sha") or config.get("model_revision"),
        "model arguments": ",".join(further) or None,
        "backend": backend_of(config),
        "parameters": config.get("model_num_parameters"),
        "loaded model": mapping(record.get("model")).get("loaded"),
        "lsn_eval": record.get("version"),
        "task version": version,
        "task definition": _digest(defined),
        "prompts": _short(hashed),
        "data root": None if hashed else mapping(task_config.get("metadata")).get("data_root"),
        "documents": mapping(samples).get("effective"),
        "few-shot examples": shots,
        "few-shot definition": _digest(shown) if shots else None,
        "few-shot seed": config.get("fewshot_seed") if shots else None,
        "generation arguments": _dumped(masked(generation)) if generation else None,
        "seed": config.get("torch_seed") if generation.get("do_sample") else None,
        "system instruction": _short(document.get("system_instruction_sha")),
        "chat template": _short(document.get("chat_template_sha")),
        "few-shot as turns": bool(document.get("fewshot_as_multiturn")) if shots else None,
        "tokenizer": _digest({name: document.get(name) for name in _TOKENIZER}),
        "lm_eval": document.get("lm_eval_version"),
        "transformers": document.get("transformers_version"),
        "torch": torch and torch[1],
    }
    return {name: "none" if value is None else str(value) for name, value in found.items()}


def differences(
    first: Mapping[str, str], second: Mapping[str, str], allowed: Collection[str] = ()
) -> dict[str, tuple[str, str]]:
    """Both values of what differs, by name: the one rule for "measured with the same".

    lm-eval writes the hash of the prompts only where samples are logged, and how examples are shown
    is nothing without any, so that these count only where both have them.
    """
    if first == second:
        return {}
    pairs = {
        name: (first.get(name, UNKNOWN), second.get(name, UNKNOWN))
        for name in dict.fromkeys([*first, *second])
        if name not in allowed
    }
    return {
        name: pair
        for name, pair in pairs.items()
        if pair[0] != pair[1] and not (name in _WHERE_BOTH and "none" in pair)
    }


def differences_between_models(
    first: Mapping[str, str], second: Mapping[str, str], allowed: Collection[str] = ()
) -> dict[str, tuple[str, str]]:
    """The same of numbers of two models, which may differ in what belongs to a model; where both
    put prompts into a chat template, in the prompts, too."""
    templates = [settings.get("chat template", "none") for settings in (first, second)]
    prompts = {"prompts"} if "none" not in templates else set()
    return differences(first, second, {*allowed, *OF_THE_MODEL, *prompts})


def alike_between_models(
    items: Iterable[Item],
    settings: Callable[[Item], Sequence[Mapping[str, str]]],
    allowed: Collection[str] = (),
) -> list[list[Item]]:
    """Items of equal settings together.

    lm-eval hashes prompts only where samples are logged: an item without comes later, and joins the
    first that is equal in all else.

    Args:
        settings: of an item, in an order that all share.
    """
    groups: list[list[Item]] = []
    for item in sorted(items, key=lambda it: any(x.get("prompts") == "none" for x in settings(it))):
        for group in groups:
            pairs = zip(settings(group[0]), settings(item), strict=True)
            if not any(differences_between_models(*pair, allowed) for pair in pairs):
                group.append(item)
                break
        else:
            groups.append([item])
    return groups


def differing(
    first: Mapping[str, str], second: Mapping[str, str], allowed: Collection[str] = ()
) -> list[str]:
    """The same in words."""
    return in_words(differences(first, second, allowed))


def in_words(found: Mapping[str, tuple[str, str]]) -> list[str]:
    """Of differences the name and both values."""
    return [f"{name} {one} and {other}" for name, (one, other) in found.items()]


def allowed_settings(names: Iterable[str], known: Collection[str]) -> frozenset[str]:
    """What `--allow` names.

    Raises:
        LsnError: a name is no setting.
    """
    if unknown := sorted(set(names) - set(known)):
        raise LsnError(
            f"{', '.join(unknown)} is no setting that results differ in; there are "
            f"{', '.join(sorted(known))}"
        )
    return frozenset(names)


_HUGGING_FACE = ("hf", "lsn_hf", "hf-auto", "huggingface")
"""lm-eval's names of its class, and of ours, which gives its numbers under `none`."""


def model_arguments(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """`--model_args` of a results file, which lm-eval writes as text or as a mapping."""
    given = config.get("model_args")
    if isinstance(given, str):
        return dict(part.strip().partition("=")[::2] for part in given.split(",") if part.strip())
    return given if isinstance(given, Mapping) else {}


def backend_of(config: Mapping[str, Any]) -> str | None:
    """Which of lm-eval's models answered: `hf` for that class and ours."""
    name = config.get("model")
    return "hf" if name in _HUGGING_FACE else name


def dtype_of(config: Mapping[str, Any]) -> str:
    """The model's dtype as lm-eval says it, such as `float32`."""
    return str(config.get("model_dtype") or UNKNOWN).removeprefix("torch.")


def about(document: Mapping[str, Any], key: str, task: str) -> Any:
    """What a results file says under `key` of a task."""
    return mapping(document.get(key)).get(task)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _short(given: Any) -> str | None:
    return str(given)[:12] if given else None


def _dumped(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _digest(value: Any) -> str:
    text = _ADDRESS.sub("", _dumped(value))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
