"""`intervene`: write neuron values while a model runs, and prove that they were written.

    with intervene(model, mask, "de:zero") as report:
        model(**inputs)
    print(report.changed)

Only the modules' calls are changed, for as long as the `with` block runs. A tensor that somebody
else holds is copied before it is written: whoever holds it keeps what it was.

Proof. Every site counts its calls and the values it overwrote; a call of its layer that runs past
it is an error. How many values changed is counted in the passes that are looked at: all until one
has changed, the first of each kind of shape, and a sample of the others. There, too, a witness at
each down projection that is fed by an intervened `mlp.act` holds what arrives against what was
written (times `mlp.up` in a gated MLP): a fused kernel or a functional call that goes round the
activation module, always or for some shapes only, is an error and no table of unchanged numbers.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from lsn_eval.conditions import UNSET, Condition, InterventionPlan, Unset, plan
from lsn_eval.errors import InterventionError
from lsn_eval.interventions.hooks import Hook, installed
from lsn_eval.interventions.positions import WrittenPositions
from lsn_eval.interventions.report import InterventionReport, SiteCounts, SiteReport
from lsn_eval.interventions.writers import Writer
from lsn_eval.masks.mask import NeuronMask
from lsn_eval.models.resolving import resolve, unwrap
from lsn_eval.wording.lists import listed

logger = logging.getLogger(__name__)


class Intervention:
    """A condition on a loaded model, checked and ready to be switched on any number of times.

    Raises:
        LsnError: condition, mask and model do not fit, or a value is beyond the largest number of
            the model's precision.
    """

    def __init__(self, model: nn.Module, mask: NeuronMask, condition: Condition):
        self.plan: InterventionPlan = plan(mask, condition)
        self.hookpoints = resolve(model)
        doubts = mask.check_model(self.hookpoints)
        self.positions = WrittenPositions(model, self.plan.condition.positions)
        self._hooks: list[Hook] = []
        self.report = InterventionReport(
            condition=str(self.plan.condition),
            overlaps=self.plan.overlaps,
            empty=self.plan.empty,
            doubts=doubts if self.plan.writes else (),
        )
        for (hookpoint, layer), write in self.plan.writes.items():
            site = self.hookpoints.site(hookpoint, layer)
            routed = site.expert is not None
            if routed and self.positions.kind != "all":
                raise InterventionError(
                    f"@{self.positions.kind} was given for {site}, to which tokens are routed out "
                    "of their order; leave it out, or use a mask of other layers"
                )
            seen = SiteReport(hookpoint, layer, site.module_name, write.indices.size, routed)
            part = None if self.positions.kind == "all" else self.positions.of
            writer = Writer(site, write, seen, part)
            writer.operands.check(unwrap(model).dtype)  # type: ignore[arg-type]
            self.report.sites.append(seen)
            self._hooks.append(Hook(self.hookpoints, site, writer))
        for doubt in self.report.doubts:
            _warn_once(doubt)
        for who in self.plan.empty:
            logger.warning(
                "%s has no neurons in this mask: condition '%s' changes nothing there",
                who,
                self.plan.condition,
            )

    def counts(self) -> list[SiteCounts]:
        """What was counted until now, site by site."""
        return [site.counts() for site in self.report.sites]

    def add_counts(self, counts: Sequence[SiteCounts]) -> None:
        """Add to the report what hooks elsewhere counted for this condition, site by site."""
        for site, seen in zip(self.report.sites, counts, strict=True):
            site.add(seen)

    def reset_counts(self) -> None:
        """Start the report anew, for instance after a trial run."""
        for site, hook in zip(self.report.sites, self._hooks, strict=True):
            site.reset()
            hook.look_again()

    @contextmanager
    def active(self) -> Iterator[InterventionReport]:
        """Write while the block runs. Leaving it, also by an exception, removes every hook.

        Raises:
            InterventionError: in the block, where a write does not arrive; on leaving it normally,
                if a layer ran past a site, or a site never fired, wrote nothing or wrote
                infinities.
        """
        before = [site.overwritten for site in self.report.sites]
        with self.positions.following(), installed(self._hooks):
            yield self.report
        empty = [
            site
            for site, overwritten in zip(self.report.sites, before, strict=True)
            if site.overwritten == overwritten and not site.routed
        ]
        if self.positions.kind == "generated":
            empty = []  # an answer may end with its first token, which the model never runs over
        if empty:
            raise InterventionError(
                f"condition '{self.plan.condition}' wrote nothing at {listed(empty, 3)}: the model "
                "ran over no token at all"
            )


@functools.cache
def _warn_once(message: str) -> None:
    """A sweep makes an intervention a condition, and one more where it tries a stack."""
    logger.warning("%s", message)


@contextmanager
def intervene(
    model: nn.Module,
    mask: NeuronMask | str | os.PathLike[str],
    condition: Condition | str | Unset | None = UNSET,
) -> Iterator[InterventionReport]:
    """Run `model` under `condition` inside the `with` block; afterwards it is as it was.

    Args:
        model: a Hugging Face model of a type in `lsn_eval.models.families.FAMILIES`, also wrapped.
        mask: neurons by language, of this model's layout; or its file, or a shipped mask's name.
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
    mask = NeuronMask.load(mask)
    with Intervention(model, mask, Condition.of(mask, condition)).active() as report:
        yield report
    report.warn_of_unchanged()
