"""Which panel of a comparison a figure is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lsn_eval.comparing import Panel
from lsn_eval.errors import LsnError


@dataclass(frozen=True)
class Choice:
    """Patterns with `*` and `?`; None takes what is there."""

    metric: str | None = None
    task: str | None = None
    """Of the family of tasks, or a name with the language in it."""
    model: str | None = None
    mask: str | None = None
    """Start of the digest."""

    def __str__(self) -> str:
        named = vars(self).items()
        return " ".join(f"--{name} {value}" for name, value in named if value is not None)

    def matches(self, panel: Panel) -> bool:
        """Whether a panel is meant."""
        digest = panel.mask.removeprefix("sha256-")
        return (
            _is_like(panel.metric, self.metric)
            and (_is_like(panel.family, self.task) or self._names_a_task(panel))
            and _is_like(panel.model, self.model)
            and (self.mask is None or digest.startswith(self.mask.removeprefix("sha256-")))
        )

    def _names_a_task(self, panel: Panel) -> bool:
        return any(_is_like(change.row.task, self.task) for change in panel.changes.values())


def _is_like(name: str, pattern: str | None) -> bool:
    return pattern is None or name == pattern or fnmatchcase(name, pattern)


def choose_panel(
    panels: Sequence[Panel], choice: Choice, prefer: Callable[[Panel], bool] | None = None
) -> Panel:
    """The panel meant; without any choice the first that is preferred.

    Raises:
        LsnError: none is meant, or several are; the panels are listed.
    """
    return choose_panels(panels, choice, prefer, masks_apart=True)[0]


def choose_panels(
    panels: Sequence[Panel],
    choice: Choice,
    prefer: Callable[[Panel], bool] | None = None,
    *,
    masks_apart: bool = False,
) -> list[Panel]:
    """The panels of one model, task and metric that are meant; they differ in the mask alone.

    Without a metric the first is taken of those that are there; without any choice the first of
    everything.
    """

    def key(panel: Panel) -> tuple[str, ...]:
        mask = (panel.mask,) if masks_apart else ()
        return (panel.model, panel.dtype, panel.family, *mask, panel.metric)

    meant = [panel for panel in panels if choice.matches(panel)]
    if not meant:
        raise LsnError(f"nothing is there for {choice}; there are:\n{_listed(panels)}")
    preferred = [panel for panel in meant if prefer is not None and prefer(panel)] or meant
    first = key(preferred[0])
    if choice.metric is None:
        meant = [panel for panel in meant if panel.metric == preferred[0].metric]
    if choice != Choice() and any(key(panel) != first for panel in meant):
        raise LsnError(
            f"{choice} can mean several; say which with --metric, --task, --model and --mask:\n"
            f"{_listed(meant)}"
        )
    return [panel for panel in meant if key(panel) == first]


def _listed(panels: Sequence[Panel]) -> str:
    return "\n".join(f"  {panel.title}" for panel in panels) or "  nothing"
