"""`intervene`: write neuron values while a model runs, and prove that they were written.

    with intervene(model, mask, "de:zero") as report:
        model(**inputs)
    print(report.changed)

The model is changed by forward hooks alone, which live as long as the `with` block. A tensor that
the model made is never written in place: whoever else holds it keeps what it was.

Proof. Every site counts its calls, the values it overwrote and how many of them changed. In
addition, the first time the model runs, a witness at each down projection that is fed by an
intervened `mlp.act` compares what arrives there with what was written (times `mlp.up` in a gated
MLP): a fused kernel or a functional call that goes round the activation module is an error then,
and not a table of unchanged numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from lsn_eval.conditions import UNSET, Condition, InterventionPlan, Unset, plan
from lsn_eval.errors import InterventionError
from lsn_eval.interventions.report import InterventionReport, SiteReport
from lsn_eval.interventions.witnesses import Witness
from lsn_eval.interventions.writers import Writer
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.hookpoints import Site, resolve
from lsn_eval.wording.lists import listed

logger = logging.getLogger(__name__)


def hook_site(
    stack: ExitStack, site: Site, written: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Until `stack` closes, put `written(values)` in the place of the values [..., extent]."""
    if site.side == "output":

        def after(module: nn.Module, args: Any, output: Any) -> torch.Tensor:
            return written(_single_tensor(output, site))

        handle = site.module.register_forward_hook(after)
    else:

        def before(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            if not args:
                raise InterventionError(
                    f"{site} got no positional input, so that it cannot be written; this model's "
                    "MLP calls the module in another way than its family does"
                )
            return (written(_single_tensor(args[0], site)), *args[1:])

        handle = site.module.register_forward_pre_hook(before)
    stack.callback(handle.remove)


def _counted(writer: Writer, report: SiteReport) -> Callable[[torch.Tensor], torch.Tensor]:
    def written(values: torch.Tensor) -> torch.Tensor:
        result, changed = writer(values)
        report.count(values[..., 0].numel() * report.neurons, changed)
        return result

    return written


def _single_tensor(value: Any, site: Site) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise InterventionError(f"{site} is a {type(value).__name__}; one tensor was expected")
    if value.shape[-1] != site.extent:
        raise InterventionError(
            f"{site} is {value.shape[-1]} wide and {site.extent} was expected: is the layer split "
            "over devices (tensor parallelism)? Load the model without that"
        )
    return value


class SiteCounts(NamedTuple):
    """What the hook at one site counted over a while."""

    calls: int
    overwritten: int
    changed: int


class Intervention:
    """A condition on a loaded model, checked and ready to be switched on any number of times."""

    def __init__(self, model: nn.Module, mask: NeuronMask, condition: Condition):
        self.plan: InterventionPlan = plan(mask, condition)
        hookpoints = resolve(model)
        mask.check_model(hookpoints)
        self._writers: list[tuple[Site, Writer, SiteReport]] = []
        self._witnesses: list[Witness] = []
        self.report = InterventionReport(
            condition=str(self.plan.condition),
            overlaps=self.plan.overlaps,
            empty=self.plan.empty,
        )
        for (hookpoint, layer), write in self.plan.writes.items():
            site = hookpoints.site(hookpoint, layer)
            writer = Writer(site, write)
            site_report = SiteReport(hookpoint, layer, site.module_name, write.indices.size)
            self.report.sites.append(site_report)
            self._writers.append((site, writer, site_report))
            # Columns written later at mlp.down_in no longer say what arrived from mlp.act; the
            # witness is prepended, so it looks before they are written.
            if hookpoint == "mlp.act":
                self._witnesses.append(Witness(hookpoints, layer, writer))
        for who in self.plan.empty:
            logger.warning(
                "%s has no neurons in this mask: condition '%s' changes nothing there",
                who,
                self.plan.condition,
            )

    def neurons_per_layer(self) -> dict[str, dict[str, int]]:
        """Neurons written, by hookpoint and layer."""
        counts: dict[str, dict[str, int]] = {}
        for (hookpoint, layer), write in self.plan.writes.items():
            counts.setdefault(hookpoint, {})[layer] = int(write.indices.size)
        return counts

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where this writes, in the order of `plan.writes` and of the report's sites."""
        return tuple(site for site, _, _ in self._writers)

    def add_counts(self, counts: Sequence[SiteCounts]) -> None:
        """Add to the report what hooks elsewhere counted for this condition, site by site."""
        for site, seen in zip(self.report.sites, counts, strict=True):
            site.count(seen.overwritten, torch.tensor(seen.changed))
            site.calls += seen.calls - 1  # `count` has added one

    def reset_counts(self) -> None:
        """Start the report anew, for instance after a trial run."""
        for site in self.report.sites:
            site.reset()

    @contextmanager
    def active(self) -> Iterator[InterventionReport]:
        """Write while the block runs. Leaving it, also by an exception, removes every hook.

        Raises:
            InterventionError: on leaving normally, if a site never fired or wrote nothing within
                this block.
        """
        before = [(site.calls, site.overwritten) for site in self.report.sites]
        with ExitStack() as stack:
            for site, writer, site_report in self._writers:
                hook_site(stack, site, _counted(writer, site_report))
            for witness in self._witnesses:
                if not witness.done:
                    witness.install(stack)
            yield self.report
        self.check_fired(
            [
                SiteCounts(site.calls - calls, site.overwritten - overwritten, 0)
                for site, (calls, overwritten) in zip(self.report.sites, before, strict=True)
            ]
        )

    def check_fired(self, counts: Sequence[SiteCounts]) -> None:
        """Hold what was counted, site by site, against what was to be written.

        Raises:
            InterventionError: a site never fired or wrote nothing.
        """
        seen = list(zip(self.report.sites, counts, strict=True))
        for wrong, what in (
            ([site for site, count in seen if not count.calls], "never fired"),
            ([site for site, count in seen if not count.overwritten], "wrote nothing"),
        ):
            if wrong:
                raise InterventionError(
                    f"condition '{self.plan.condition}' was to write {listed(wrong, 3)}, which "
                    f"{what}: the numbers would be those of an unchanged model. Either the model "
                    "did not run, or it does not call these modules (a fused kernel?): load it "
                    "without one"
                )


@contextmanager
def intervene(
    model: nn.Module, mask: NeuronMask, condition: Condition | str | Unset | None = UNSET
) -> Iterator[InterventionReport]:
    """Run `model` under `condition` inside the `with` block; afterwards it is as it was.

    Args:
        model: a Hugging Face model of a type in `lsn_eval.models.families.FAMILIES`, also wrapped.
        mask: neurons by language, of this model's layout.
        condition: see `lsn_eval.conditions`. `"none"` and None change nothing; without the
            argument, a mask of one language means `LANG:zero`.

    Yields:
        The report, filled while the model runs.

    Raises:
        LsnError: unknown language, statistic, layer, hookpoint or architecture, before anything
            runs.
        InterventionError: the model ran past a neuron that was to be written, or (on leaving the
            block) a hookpoint never fired or wrote nothing.
    """
    with Intervention(model, mask, Condition.of(mask, condition)).active() as report:
        yield report
    report.warn_of_unchanged()
