"""Which condition a control is the control of, by its name."""

from __future__ import annotations

from lsn_eval.masks.names import CONTROL_NAME


def controlled(condition: str) -> str | None:
    """The condition that a control is the control of: `de:zero` for `random3-de:zero`."""
    terms = [term.partition(":") for term in condition.split("/")]
    matches = [match for who, _, _ in terms if (match := CONTROL_NAME.fullmatch(who)) is not None]
    # A term of true neurons, or another draw for every term, is no control of the whole.
    if len(matches) < len(terms) or len({match[1] for match in matches}) > 1:
        return None
    return "/".join(
        f"{match[2]}:{what}" for match, (_, _, what) in zip(matches, terms, strict=True)
    )
