"""What is written, number by number."""

from __future__ import annotations

import pytest
import torch
from builders.architectures import tiny_model
from builders.masks import tiny_mask

from lsn_eval.conditions import Condition, plan
from lsn_eval.interventions.report import SiteReport
from lsn_eval.interventions.writers import Writer
from lsn_eval.models.resolving import resolve


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "condition", ["de:x0.5", "de:x-1", "de:x1.5", "de:+0.3", "de:+-7.9", "de:+20", "de:+mean"]
)
def test_all_neurons_at_once_are_what_the_written_ones_alone_are(condition, dtype):
    """Bit for bit, others untouched, zeros with their signs; and no infinity is made unseen."""
    model = tiny_model("llama", dtype)
    mask, site = tiny_mask(model), resolve(model).site("mlp.act", "0")
    write = plan(mask, Condition.parse(condition)).writes["mlp.act", "0"]
    most, least = torch.finfo(dtype).max, torch.finfo(dtype).smallest_normal
    odd = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, most, -most, least, 1.0, -3.3])
    values = odd.to(dtype)[:, None].repeat(1, site.extent)
    writer = Writer(site, write, SiteReport("mlp.act", "0", "", write.indices.size))
    at_once = values.clone()
    writer(at_once, compare=False)
    alone = values.clone()
    alone[:, writer.columns] = writer.operands.moved(values[:, writer.columns])
    assert torch.equal(at_once.view(_BITS[dtype]), alone.view(_BITS[dtype]))
    others = torch.ones(site.extent, dtype=torch.bool).index_fill(0, writer.columns, False)
    assert torch.equal(at_once[:, others].view(_BITS[dtype]), values[:, others].view(_BITS[dtype]))
    overflows = bool((at_once.isinf() & values.isfinite()).any())
    assert bool(writer.operands._overflowed) == overflows


_BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}
