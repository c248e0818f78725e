"""CSV and JSON of a comparison: one row a number, unrounded."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from typing import Any

from lsn_eval.comparing import Change, Comparison, Panel
from lsn_eval.results.controls import controlled
from lsn_eval.results.rows import NO_CONDITION
from lsn_eval.tables.views import mark


def tidy(comparison: Comparison) -> list[dict[str, Any]]:
    """One mapping a number: what it is, its change and what it was measured with. `shift`, `low`
    and `high` are on `scale`: log ratios of perplexities, differences of the rest."""
    rows, baselines = [], set()
    for panel in comparison.panels:
        for change in panel.changes.values():
            row = change.row
            if row.condition == NO_CONDITION:
                # It stands in the panel of every mask.
                if (row.file, row.task, row.name) in baselines:
                    continue
                baselines.add((row.file, row.task, row.name))
            unmoved = (panel.model, panel.mask, row.condition) in comparison.unmoved
            rows.append(_tidy(change, panel, unmoved))
    return rows


def as_csv(comparison: Comparison) -> str:
    """With a header; nothing where there is no number."""
    rows = [
        {name: "" if value is None else value for name, value in row.items()}
        for row in tidy(comparison)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_json(comparison: Comparison) -> str:
    """Numbers, selectivities, how it was tested, and warnings."""
    document = {
        "notes": [*comparison.notes, *comparison.remarks],
        "test": dataclasses.asdict(comparison.draws) if comparison.tested else None,
        "numbers": tidy(comparison),
        "panels": [
            {
                "model": panel.model,
                "mask": panel.mask,
                "dtype": panel.dtype,
                "family": panel.family,
                "metric": panel.metric,
                "scale": panel.scale,
                "languages": list(panel.languages),
                "selectivity": {
                    name: dataclasses.asdict(found) for name, found in panel.selectivity.items()
                },
                "overall": {
                    name: dataclasses.asdict(found) for name, found in panel.overall.items()
                },
                "uneven": list(panel.uneven),
                "notes": list(panel.notes),
            }
            for panel in comparison.panels
        ],
    }
    return json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value


def _tidy(change: Change, panel: Panel, unmoved: bool) -> dict[str, Any]:
    row = change.row
    selectivity = panel.selectivity.get(row.condition)
    own = selectivity if selectivity and selectivity.language == row.language else None
    ends = own.interval if own else None
    no_op = ["likely no-op: no number under this condition differs from none"] if unmoved else []
    return {
        "model": row.model,
        "task": row.task,
        "family": row.family,
        "language": row.language,
        "condition": row.condition,
        "control_of": controlled(row.condition),
        "metric": row.name,
        "value": row.value if row.usable else None,
        "stderr": row.stderr,
        "baseline": None if change.baseline is None else change.baseline.value,
        "difference": change.difference,
        "relative": change.relative,
        "ratio": change.ratio,
        "scale": change.scale,
        "shift": change.shift,
        "low": None if change.interval is None else change.interval[0],
        "high": None if change.interval is None else change.interval[1],
        "p": change.p,
        "p_holm": change.p_holm,
        "documents": change.documents if change.documents is not None else row.documents,
        "controls": len(change.controls),
        "control_p": change.control_p,
        "selectivity": own.value if own else None,
        "selectivity_low": ends[0] if ends else None,
        "selectivity_high": ends[1] if ends else None,
        "selectivity_p": own.p if own else None,
        "mark": mark(change) if row.condition != NO_CONDITION else "",
        "mask": row.mask,
        "method": row.method,
        "hookpoint": row.hookpoint,
        "neurons": row.neurons,
        "dtype": row.dtype,
        "shots": row.shots,
        "older": row.older,
        "obstacles": "; ".join(change.obstacles),
        "warnings": "; ".join([*row.warnings, *no_op]),
        "signature": row.signature,
        "file": str(row.file),
    }
