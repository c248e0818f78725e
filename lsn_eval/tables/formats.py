"""Tables as text: terminal, Markdown and LaTeX (booktabs); and which format is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lsn_eval.comparing.panels import SIGNS, Mark
from lsn_eval.errors import LsnError
from lsn_eval.results.signatures import shared_signature
from lsn_eval.tables.table import Table
from lsn_eval.visible_text import one_line
from lsn_eval.wording.text_tables import aligned, markdown_table, markdown_text

SUFFIXES: Mapping[str, str] = {
    ".txt": "terminal", ".md": "markdown", ".csv": "csv", ".json": "json", ".tex": "latex",
}  # fmt: skip
FORMATS = tuple(SUFFIXES.values())


def format_of(asked: str | None, out: Path | None, as_json: bool = False) -> str:
    """By `--format`, `--json` and the suffix of `--out`, which must not contradict each other."""
    if as_json and asked not in (None, "json"):
        raise LsnError(f"--json and --format {asked} contradict each other; give one")
    asked = "json" if as_json else asked
    suffix = "" if out is None else out.suffix.lower()
    if asked == "html" or suffix in (".html", ".htm"):
        raise LsnError("tables are no pages: 'lsn-eval report RESULTS --out FILE.html' writes HTML")
    name = asked or SUFFIXES.get(suffix, "terminal")
    if name not in FORMATS:
        raise LsnError(f"--format {name!r}: one of {', '.join(FORMATS)} was expected")
    if out is not None and SUFFIXES.get(suffix) != name:
        known = ", ".join(f"{ending} ({written})" for ending, written in SUFFIXES.items())
        raise LsnError(
            f"--out {out} does not end as {name} does; there are {known}"
            if asked
            else f"--out {out}: an ending that says the format was expected: {known}"
        )
    return name


def _rows(table: Table) -> list[list[str]]:
    return [list(table.columns), *([cell.marked for cell in row] for row in table.rows)]


def terminal(
    tables: Sequence[Table],
    notes: Sequence[str],
    *,
    signatures: bool = False,
    width: int | None = None,
) -> str:
    """Aligned columns, also of wide characters; `width` as in `aligned`."""
    parts = [f"WARNING: {one_line(note)}" for note in notes]
    for table in tables:
        below = [*map(one_line, table.notes), *_measured_with(table, signatures, "  ")]
        lines = [one_line(table.title), "", *aligned(_rows(table), words=1, width=width)]
        parts.append("\n".join([*lines, *([""] if below else []), *below]))
    return "\n\n".join(parts) + "\n"


def markdown(tables: Sequence[Table], notes: Sequence[str], *, signatures: bool = False) -> str:
    """GitHub's tables."""
    parts = [f"**Warning:** {markdown_text(note)}" for note in notes]
    for table in tables:
        parts += [f"**{markdown_text(table.title)}**", markdown_table(_rows(table))]
        if table.notes:
            parts.append("\n".join(f"- {markdown_text(note)}" for note in table.notes))
        if measured := _measured_with(table, signatures, "    "):
            parts.append("\n".join([measured[0], "", *measured[1:]]))
    return "\n\n".join(parts) + "\n"


def _measured_with(table: Table, every: bool, indent: str) -> list[str]:
    """A heading and its lines: what the signatures share, or each of them."""
    lines, heading = table.signatures, "Measured with"
    if len(lines) > 1 and not every:
        heading += f" (lsn-eval compare --signatures lists all {len(lines)})"
        lines = (shared_signature(lines),)
    return [heading, *(f"{indent}{one_line(line)}" for line in lines)] if lines else []


def latex(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """`table` environments with booktabs' rules, notes below them and signatures as comments; needs
    \\usepackage{booktabs}."""
    parts = [rf"\noindent\textbf{{Warning:}} {_latex_text(note)}" + "\n" for note in notes]
    for table in tables:
        head = " & ".join(map(_latex_text, table.columns))
        body = [" & ".join(_latex_cell(cell.text, cell.mark) for cell in row) for row in table.rows]
        below = [rf"{_latex_text(note)}\par" for note in table.notes]
        if below:
            below = [
                r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
                *below, r"\end{minipage}",
            ]  # fmt: skip
        lines = [
            r"\begin{table}", r"\centering", rf"\caption{{{_latex_text(table.title)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}", r"\toprule",
            rf"{head} \\", r"\midrule", *(rf"{line} \\" for line in body), r"\bottomrule",
            r"\end{tabular}", *below,
            *(f"% {one_line(line)}" for line in table.signatures),
            r"\end{table}",
        ]  # fmt: skip
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
        # After the end of a row these two would be read as its arguments.
        "[": "{[}", "*": "{*}",
    }
)  # fmt: skip


def _latex_text(text: str) -> str:
    return one_line(text).translate(_LATEX).strip()


def _latex_cell(text: str, mark: Mark) -> str:
    return _latex_text(text) + (r"$^{\sim}$" if mark == "undecided" else SIGNS[mark])


def render(
    tables: Sequence[Table],
    name: str,
    notes: Sequence[str] = (),
    *,
    signatures: bool = False,
    width: int | None = None,
) -> str:
    """All tables in one text.

    Args:
        notes: concern all of them and come first.
        signatures: list every one of them, instead of what they share; in LaTeX they are comments,
            and all there.
        width: of the screen that it is for.
    """
    if name == "latex":
        return latex(tables, notes)
    if name == "markdown":
        return markdown(tables, notes, signatures=signatures)
    return terminal(tables, notes, signatures=signatures, width=width)
