"""The processes of an `accelerate launch` that record together."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Processes:
    """This process among those of its launch."""

    rank: int = 0
    count: int = 1
    wait: Callable[[], Any] = field(default=lambda: None, compare=False)
    """Returns once every process has called it."""

    @staticmethod
    def launched() -> Processes:
        """Those of this launch; one where there was none."""
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return Processes()
        import torch
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available())
        return Processes(state.process_index, state.num_processes, state.wait_for_everyone)

    def shard(self, number: int, of: int) -> tuple[int, int]:
        """This process's part of shard `number` of `of`, as a shard of its own.

        Batch b is in shard `number` where b % of == number - 1, and the processes take turns.
        """
        return number + of * self.rank, of * self.count
