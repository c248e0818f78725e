"""`Evaluation`: lm-eval with one loaded model, under one condition after another; or, where the
settings name a backend, with a model of each condition's own.

What a process of its own would have and a second evaluation would not: the generators of random
numbers as they are once model and tasks are loaded, tasks that nobody has used (samplers of
few-shot examples, documents), requests without answers, batch sizes not yet found. Each condition
gets these anew; model, data, requests and the description of the machine are made once.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lsn_eval.conditions import Condition
from lsn_eval.errors import LsnError
from lsn_eval.models.loading import check_device
from lsn_eval.results.model_records import in_weights
from lsn_eval.sweeping.checkpoints import checkpoint, release_memory
from lsn_eval.sweeping.inputs import Digests, task_inputs
from lsn_eval.sweeping.progress import AnswerCounter
from lsn_eval.sweeping.settings import MODEL, SweepError, SweepSettings

AnswerListener = Callable[[str, Mapping[str, int], Mapping[str, int], int], None]
"""Called at an answer: its kind, by kind the condition's answers so far and all its requests, and
the answers ready for conditions to come."""


class Evaluation:
    """Results of one condition after another, by the settings of a sweep.

    Args:
        objects: arguments of the model class in place of what the settings name.

    Raises:
        SweepError: a task or a device that does not exist.
    """

    def __init__(
        self, settings: SweepSettings, out: Path, objects: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        from lm_eval.api.registry import get_model

        from lsn_eval.harness import plugin

        check_device(settings.device, SweepError)
        plugin.register()
        try:
            self._model_class = get_model(settings.backend or MODEL)
        except ValueError as error:
            raise SweepError(f"--backend {settings.backend}: {error}") from error
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # as lm-eval's command does
        self._settings = settings
        self._out = out
        self._objects = objects
        self.configuration = settings.configuration(Condition(), out)
        try:
            with plugin.asked_for(settings.tasks):
                self._manager = self.configuration.process_tasks(self.configuration.metadata)
        except ValueError as error:
            raise SweepError(f"{error}; 'lm_eval ls tasks' lists those there are") from error
        self._seeds: Sequence[int | None] = self.configuration.seed or [None] * 4
        self._model: Any = None
        self._tasks: dict[tuple[str, ...], tuple[Any, Callable[[], None]]] = {}
        self._requests: dict[tuple[str, ...], tuple[Any, Callable[[], None]]] = {}

    def loaded_tasks(self) -> dict[str, Any]:
        """The tasks by name, as lm-eval loads them; no model is needed.

        Raises:
            LsnError: one of them cannot be loaded.
        """
        with _as_sweep_error("tasks"):
            return dict(self._manager.load(list(self.configuration.tasks))["tasks"])

    def load(self, on_answer: AnswerListener = lambda *answer: None) -> Digests:
        """Load model and tasks, in the order of lm-eval's command; returns what the tasks read.

        Raises:
            LsnError: one of them cannot be loaded.
        """
        _description()  # takes a process a second or two, beside this one
        with _as_sweep_error("model and tasks"):
            self._seed()
            self._counter = AnswerCounter(
                lambda kind, done, totals: on_answer(kind, done, totals, self._rows_ahead())
            )
            if not self._settings.in_weights:
                self._model = self._created(self._objects)
            self._restore_with_model = _random_states()
            loaded, _ = self._loaded(self.configuration.tasks)
            tasks = self._copied(loaded, self.configuration.tasks)
            fewshot = self.configuration.num_fewshot or 0
            return task_inputs(tasks, self._manager.task_index, fewshot)

    def _created(self, arguments: Mapping[str, Any]) -> Any:
        """The model, by lm-eval's class, with `arguments` in place of the settings'."""
        names = ("batch_size", "max_batch_size", "device")
        model = self._model_class.create_from_arg_obj(
            {**self.configuration.model_args, **arguments},
            {name: getattr(self.configuration, name) for name in names},
        )
        model.set_cache_hook(self._counter)
        return model

    def _rows_ahead(self) -> int:
        return 0 if self._settings.in_weights else self._model.stacked.rows_ahead

    @contextlib.contextmanager
    def _under(
        self, condition: Condition, following: Sequence[Condition], folder: Path
    ) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
        """The model under `condition`, by hooks or from its weights; and what of lm-eval's
        `config` for a results file is to be written."""
        if not self._settings.in_weights:
            self._model.set_condition(condition)
            self._model.stack(following, self._settings.stack)
            self._model.batch_sizes.clear()
            yield dict
            return
        mask = self._objects.get("mask", self._settings.mask)
        with checkpoint(self._settings, mask, condition, folder) as (place, record):
            self._model = self._created({"pretrained": place})
            try:
                yield lambda config: in_weights(config, record)
            finally:
                self._model = None
                self._counter.start([])  # its tasks may know the model
                release_memory()

    def _seed(self) -> None:
        import numpy as np
        from lm_eval.utils import set_torch_seed

        plants: tuple[Callable[[Any], object], ...]
        plants = (random.seed, np.random.seed, set_torch_seed)
        for seed, plant in zip(self._seeds, plants, strict=False):  # few-shot has one, too
            if seed is not None:
                plant(seed)

    def _loaded(self, tasks: Sequence[Any]) -> tuple[Any, Callable[[], None]]:
        """The tasks as they were when loaded, and what restores the random numbers of then."""
        key = tuple(map(str, tasks))
        if key not in self._tasks:
            self._restore_with_model()
            loaded = self._manager.load(list(tasks))
            self._tasks[key] = (loaded, _random_states())
        return self._tasks[key]

    def _copied(self, loaded: Any, tasks: Sequence[Any]) -> Any:
        """What was loaded once more, or, where something in it cannot be copied, loaded anew."""
        try:
            return copy.deepcopy(loaded)
        except Exception:
            return self._manager.load(list(tasks))

    def _untouched(self, names: Sequence[Any], condition: str) -> Any:
        """The tasks, with the random numbers, as they were before any evaluation."""
        loaded, restore = self._loaded(names)
        fresh = self._copied(loaded, names)
        for owner in (
            *(task.config for task in fresh["tasks"].values()),
            *fresh["groups"].values(),
        ):
            if isinstance(owner.metadata, dict) and "condition" in owner.metadata:
                owner.metadata = {**owner.metadata, "condition": condition}
        for name, task in fresh["tasks"].items():
            key = (*map(str, names), name)
            task.build_all_requests = functools.partial(
                self._build, key, task, task.build_all_requests
            )
        self._counter.start(fresh["tasks"].values())
        restore()
        return fresh

    def _build(
        self, key: tuple[str, ...], task: Any, build: Callable[..., None], **settings: Any
    ) -> None:
        """A task's requests, with the random numbers as they are after making them; `settings`,
        lm-eval's, are the same for every condition."""
        if key in self._requests:
            instances, restore = self._requests[key]
            task._instances = copy.deepcopy(instances)
            restore()
            return
        build(**settings)
        with contextlib.suppress(Exception):  # what cannot be copied is made anew
            self._requests[key] = copy.deepcopy(task._instances), _random_states()

    def evaluate(
        self,
        condition: Condition,
        folder: Path,
        tasks: Sequence[str] | None = None,
        *,
        following: Sequence[Condition] = (),
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """lm-eval's results and samples under `condition`, written below `folder` too.

        Args:
            tasks: those of the settings without it.
            following: conditions to be evaluated after this one on the same tasks, in this order;
                with `stack` set, they are generated for in the same batches.
        """
        import lm_eval
        from lm_eval.loggers import EvaluationTracker

        configuration = self._settings.configuration(condition, self._out)
        names = self.configuration.tasks if tasks is None else list(tasks)
        self._loaded(names)
        tracker = EvaluationTracker(output_path=str(folder))
        seeds = ("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed")
        with self._under(condition, following, folder) as described, _harness_remembers():
            results: dict[str, Any] = lm_eval.simple_evaluate(
                model=self._model,
                tasks=names,
                task_manager=_TaskManager(
                    self._manager,
                    lambda tasks: self._untouched(names, str(condition)),
                ),
                log_samples=True,
                evaluation_tracker=tracker,
                **dict(zip(seeds, self._seeds, strict=True)),
                **{name: getattr(configuration, name) for name in _HANDED_ON},
            )
        # Handed a loaded model, lm-eval writes its class.
        results["config"]["model"] = configuration.model
        results["config"] = described(results["config"])
        tracker.general_config_tracker.model_source = configuration.model
        samples = results.pop("samples")
        tracker.save_results_aggregated(results, samples)
        for task in results["configs"]:
            tracker.save_results_samples(task, samples[task])
        _all_written(folder, samples)
        return results, samples


@contextlib.contextmanager
def _as_sweep_error(what: str) -> Iterator[None]:
    try:
        yield
    except (LsnError, OSError):
        raise
    except Exception as error:
        raise SweepError(
            f"{what} cannot be loaded: {type(error).__name__}: {error}; LSN_EVAL_TRACEBACK=1 "
            "shows where"
        ) from error


_HANDED_ON = (
    "model_args", "num_fewshot", "batch_size", "max_batch_size", "device", "limit",
    "system_instruction", "apply_chat_template", "fewshot_as_multiturn", "gen_kwargs",
    "confirm_run_unsafe_code", "metadata",
)  # fmt: skip
"""From lm-eval's configuration to its evaluation, by the same names."""


def _all_written(folder: Path, samples: dict[str, Any]) -> None:
    """lm-eval warns where it cannot write a file, and goes on."""
    written = [path.name for path in folder.rglob("*") if path.stat().st_size]
    for start in ("results_", *(f"samples_{task}_" for task, rows in samples.items() if rows)):
        if not any(name.startswith(start) for name in written):
            raise SweepError(f"lm-eval wrote no file {start}* into {folder}; is the disk full?")


class _TaskManager:
    """lm-eval's task manager, but for its way of loading."""

    def __init__(self, manager: Any, load: Callable[[Sequence[Any]], Any]) -> None:
        self._manager = manager
        self.load = load

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)


def _random_states() -> Callable[[], None]:
    """Python's, NumPy's and PyTorch's generators at this moment; called, it restores them."""
    import numpy as np
    import torch

    states: list[tuple[Callable[[Any], object], Any]] = [
        (random.setstate, random.getstate()),
        (np.random.set_state, np.random.get_state()),
        (torch.set_rng_state, torch.get_rng_state()),
    ]
    if torch.cuda.is_initialized():
        states.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))

    def restore() -> None:
        for plant, state in states:
            plant(state)

    return restore


@contextlib.contextmanager
def _harness_remembers() -> Iterator[None]:
    """What lm-eval works out anew for every results file, or document, with the same outcome: the
    description of the machine, and the code that a prompt's template compiles to."""
    from lm_eval.utils import env
    from torch.utils import collect_env

    describe, description = collect_env.get_pretty_env_info, _description()
    collect_env.get_pretty_env_info = description.result
    env.from_string = _remembering(env.from_string)
    try:
        yield
    finally:
        collect_env.get_pretty_env_info = describe
        del env.from_string


@functools.cache
def _description() -> Future[str]:
    """Of the machine and what is installed, as lm-eval has it from PyTorch."""
    from torch.utils import collect_env

    from lsn_eval.harness.installed_packages import listed_here

    return ThreadPoolExecutor(1).submit(listed_here()(collect_env.get_pretty_env_info))


@functools.cache
def _remembering(function: Any) -> Any:
    return functools.lru_cache(maxsize=1024)(function)
