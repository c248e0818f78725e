"""`LsnTask`: lm-eval's configurable task with data from this machine or from the Hub.

A YAML names a subclass, `class: !function lsn_eval.lm_tasks.xnli.XnliTask`; everything else in it
is lm-eval's own. `language` and other settings of ours stand under `dataset_kwargs`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.task import ConfigurableTask

from lsn_eval.lm_tasks.local_data import LocalDataError, data_root, refuse_secrets


class LsnTask(ConfigurableTask):
    """A family's subclass says what its data is: `local` and `hub`."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        settings = {name: value for name, value in (config or {}).items() if name != "class"}
        refuse_secrets(settings.get("metadata") or {})
        self.root: Path | None = None
        super().__init__(config=settings)

    @property
    def metadata(self) -> dict[str, Any]:
        """What `--metadata` and the model arguments say, and the task's own metadata."""
        return dict(self.config.metadata or {})

    def local(self, root: Path, **settings: Any) -> dict[str, datasets.Dataset]:
        """The splits from files below `root`; `settings` are the YAML's `dataset_kwargs`. A task
        whose data is not from outside has the same splits everywhere."""
        return self.hub(**settings)

    def hub(self, **settings: Any) -> dict[str, datasets.Dataset]:
        """The splits from the Hub."""
        raise NotImplementedError

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
