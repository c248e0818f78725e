"""What the rows say of each model type: the support table of the command line and of the docs."""

from __future__ import annotations

from dataclasses import dataclass

from lsn_eval.models.families import FAMILIES, REFUSED, Family, Linear, Stack, path_of


@dataclass(frozen=True)
class Support:
    """One model type in the table."""

    type: str
    kind: str
    """`decoder`, `encoder`, `encoder-decoder`, or `refused`; and which experts there are."""
    gate: str = ""
    """Whether the MLP has a gate: `none`, or `apart` from `mlp.up` or `fused` with it."""
    attention: str = ""
    """Whether query, key and value are layers `apart` or `fused`; `and cross` with an encoder."""
    reason: str = ""
    """Why it is refused."""


def support() -> list[Support]:
    """Every type that has a row or is refused, by name."""
    rows = [_of(name, family) for name, family in FAMILIES.items()]
    rows += [Support(name, "refused", reason=reason) for name, reason in REFUSED.items()]
    return sorted(rows, key=lambda row: row.type)


def _of(name: str, family: Family) -> Support:
    def layers(*linears: Linear) -> str:
        return "fused" if len({path_of(of) for of in linears}) < len(linears) else "apart"

    gates = [layers(of.gate, of.up) if of.gate else "none" for of in family]
    attentions = (stack.attention for stack in family if stack.attention)
    heads = [layers(*(linear for linear in (of.q, of.k, of.v) if linear)) for of in attentions]
    return Support(
        name,
        kind="-".join(dict.fromkeys(of.name for of in family)) + _experts(family[0]),
        gate=" or ".join(dict.fromkeys(gates)),
        attention=heads[0] + (" and cross" if any(of.cross for of in family) else ""),
    )


def _experts(stack: Stack) -> str:
    if stack.experts is None:
        return ""
    return ", experts" + (" and a shared one" if stack.shared else "")
