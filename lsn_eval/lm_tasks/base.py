"""`LsnTask`: lm-eval's configurable task with data from this machine or from the Hub.

A YAML names a subclass, `class: !function lsn_eval.lm_tasks.xnli.XnliTask`; everything else in it
is lm-eval's own. `language` and other settings of ours stand under `dataset_kwargs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import datasets
from lm_eval.api.task import ConfigurableTask

from lsn_eval.lm_tasks.local_data import LocalDataError, data_root, refuse_secrets


class LsnTask(ConfigurableTask):
    """A family's subclass says what its data is: `local` and, where the Hub has it, `hub`."""

    WHERE = ""
    """Where data that is not on the Hub is to be had."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        settings = {name: value for name, value in (config or {}).items() if name != "class"}
        refuse_secrets(settings.get("metadata") or {})
        self.root: Path | None = None
        super().__init__(config=settings)

    @property
    def metadata(self) -> dict[str, Any]:
        """What `--metadata` and the model arguments say, and the task's own metadata."""
        return dict(self.config.metadata or {})

    _model: Mapping[str, Any] = MappingProxyType({})

    @property
    def model_arguments(self) -> dict[str, Any]:
        """The metadata, among which lm-eval puts the arguments of a model by name; and of one that
        was introduced its tokenizer and context, whatever the metadata says."""
        return {**self.metadata, **self._model}

    def introduce(self, model: Any) -> None:
        """Called before an evaluation with the model that is to answer. Of `hf` and its like it is
        known what they read with, and nothing new if they were made from what metadata says."""
        model = getattr(model, "lm", model)  # inside of lm-eval's response cache
        about = vars(model)
        named = all(isinstance(of.get("pretrained"), str) for of in (self.metadata, about))
        named = named and not getattr(model, "fills_blanks", False)  # which counts in its own way
        if "tokenizer" in about and "custom_prefix_token_id" in about and not named:
            self._model = {
                "tokenizer": model.tokenizer,
                "max_length": model.max_length,
                "add_bos_token": about.get("add_bos_token"),
                "prefix_token_id": model.custom_prefix_token_id,
            }

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """The splits from files below `root`; `settings` are the YAML's `dataset_kwargs`. A task
        whose data is not from outside has the same splits everywhere."""
        return self.hub(**settings)

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """The splits from the Hub.

        Raises:
            LocalDataError: it has none that `datasets` can load.
        """
        raise LocalDataError(
            f"{self.config.task} needs local data, as the Hub has none that can be loaded: name "
            """its folder by --metadata '{"data_root": "DIR"}' or LSN_EVAL_DATA=DIR; """
            + self.WHERE
        )

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Called by lm-eval while the task is made."""
        self.root = data_root(self.metadata)
        settings = dict(dataset_kwargs or {})
        self.dataset = (
            self.hub(**settings) if self.root is None else self.local(self.root, **settings)
        )

    def build_all_requests(self, *, cache_requests: bool = False, **kwargs: Any) -> None:
        """Refuses lm-eval's request cache for local data, whose place it leaves out of its key."""
        if cache_requests and self.root is not None:
            raise LocalDataError(
                f"--cache_requests would answer with requests made from other data than {self.root}"
                ": its key does not hold where data is from; leave it out"
            )
        super().build_all_requests(cache_requests=cache_requests, **kwargs)
