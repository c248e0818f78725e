"""`run_sweep`: conditions x tasks on one loaded model, each as if `lm_eval` had run alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lsn_eval.conditions import Condition
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.sweeping.checkpoints import check_bakes
from lsn_eval.sweeping.evaluation import Evaluation
from lsn_eval.sweeping.folder import SweepFolder
from lsn_eval.sweeping.progress import SweepBar
from lsn_eval.sweeping.screen import quiet
from lsn_eval.sweeping.settings import SweepError, SweepSettings
from lsn_eval.wording.shown import Shown


@dataclass(repr=False)
class SweepOutcome(Shown):
    """What became of the conditions, by their names."""

    finished: dict[str, Path] = field(default_factory=dict)
    """Results files, those of an earlier run included."""
    skipped: list[str] = field(default_factory=list)
    """Finished by an earlier run."""
    failed: dict[str, str] = field(default_factory=dict)
    """Reasons."""

    def summary(self) -> tuple[str, list[list[str]]]:
        """How many finished, and by condition what failed or where the results are."""
        rows = [["condition", "became", "in or because"]]
        rows += [[condition, "failed", reason] for condition, reason in self.failed.items()]
        for condition, file in self.finished.items():
            before = " before" if condition in self.skipped else ""
            rows.append([condition, f"finished{before}", str(file)])
        return f"{len(self.finished)} finished, {len(self.failed)} failed", rows


def run_sweep(
    settings: SweepSettings,
    out: Path,
    *,
    objects: Mapping[str, Any] = MappingProxyType({}),
    progress: bool = True,
) -> SweepOutcome:
    """Evaluate every condition that is not finished in `out`.

    A condition that fails is recorded, and the others go on. `objects` are arguments of the model
    class in place of what the settings name: a loaded model, its tokenizer, a mask.

    Raises:
        LsnError: before the model is loaded, if conditions, mask, tasks or `out` do not fit; after
            it, if model or data cannot be loaded.
    """
    if settings.in_weights and "pretrained" in objects:
        raise SweepError("with a backend, name the model or its folder: a loaded one has no files")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SweepError(
            "a sweep runs in one process and was started in several; give several GPUs to its "
            "model by --model-args parallelize=True, or start several sweeps, each of some "
            "conditions and into a folder of its own"
        )
    with contextlib.ExitStack() as stack:
        # lm-eval warns whenever it reads the settings, so they are read within.
        screen = stack.enter_context(quiet())
        mask, folder, outcome, to_do = started(settings, out, objects)
        if not to_do:
            return outcome
        evaluation = Evaluation(settings, out, objects)
        stack.enter_context(folder.alone())
        # Others may have been finished meanwhile.
        outcome, to_do = _divided(folder, settings.conditions_of(mask))
        bar = SweepBar(len(to_do), screen, shown=progress)
        stack.callback(bar.close)
        folder.write_arguments(evaluation.load(bar.answered))
        bar.start()
        for number, condition in enumerate(to_do, 1):
            bar.begin(str(condition))
            try:
                evaluation.evaluate(condition, folder.begin(condition), following=to_do[number:])
                outcome.finished[str(condition)] = folder.finish(condition)
            except Exception as error:
                outcome.failed[str(condition)] = folder.fail(condition, error)
                bar.say(f"{condition} failed: {outcome.failed[str(condition)]}")
            bar.end()
    return outcome


def started(
    settings: SweepSettings, out: Path, objects: Mapping[str, Any] = MappingProxyType({})
) -> tuple[NeuronMask, SweepFolder, SweepOutcome, list[Condition]]:
    """Everything there is before tasks are looked up: what is finished, and what is to be run."""
    mask = NeuronMask.load(objects.get("mask", settings.mask))
    conditions = settings.conditions_of(mask)
    folder = SweepFolder(out, _shared_arguments(settings, out, mask, objects))
    outcome, to_do = _divided(folder, conditions)
    if settings.in_weights and to_do:
        check_bakes(settings, mask, to_do, out)
    return mask, folder, outcome, to_do


def _divided(
    folder: SweepFolder, conditions: Sequence[Condition]
) -> tuple[SweepOutcome, list[Condition]]:
    """What an earlier run finished, and the conditions that are to be run."""
    outcome = SweepOutcome()
    to_do = []
    for condition in conditions:
        if results := folder.finished(condition):
            outcome.finished[str(condition)] = results
            outcome.skipped.append(str(condition))
        else:
            to_do.append(condition)
    return outcome, to_do


def _shared_arguments(
    settings: SweepSettings, out: Path, mask: NeuronMask, objects: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that a condition's numbers depend on, but for the condition."""
    import lm_eval
    import torch
    import transformers

    from lsn_eval.harness.identity import loaded_digest, model_files
    from lsn_eval.lm_tasks.local_data import ENVIRONMENT, refuse_secrets
    from lsn_eval.version import __version__

    configuration = settings.configuration(Condition(), out)
    refuse_secrets(configuration.metadata)
    names = (
        "num_fewshot", "batch_size", "max_batch_size", "device", "limit", "gen_kwargs", "seed",
        "system_instruction", "apply_chat_template", "fewshot_as_multiturn", "include_path",
    )  # fmt: skip
    return {
        **{name: getattr(configuration, name) for name in names},
        "model_args": _without_condition(configuration.model_args),
        "metadata": _without_condition(configuration.metadata),
        "backend": settings.backend,
        "mask_digest": mask.digest,
        "tasks": list(settings.tasks),
        "model_files": (
            {"in memory": loaded_digest(objects["pretrained"], objects["tokenizer"])}
            if "pretrained" in objects
            else model_files({**settings.model_args, "pretrained": settings.model})
        ),
        "data_root": os.environ.get(ENVIRONMENT) or None,
        "versions": {
            "lsn_eval": __version__,
            "lm_eval": lm_eval.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            **_installed(settings.backend),
        },
    }


def _installed(engine: str | None) -> dict[str, str]:
    """The version of an engine that is called as its package is."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return {engine: metadata.version(engine)} if engine else {}
    return {}


def _without_condition(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "condition"}
