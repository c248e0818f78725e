"""Tables as text: terminal, Markdown and LaTeX (booktabs)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lsn_eval.tables.table import SIGNS, Mark, Table
from lsn_eval.visible_text import one_line
from lsn_eval.wording.text_tables import aligned, markdown_table, markdown_text

SUFFIXES: Mapping[str, str] = {
    ".txt": "terminal", ".md": "markdown", ".csv": "csv", ".json": "json", ".tex": "latex",
}  # fmt: skip
FORMATS = tuple(SUFFIXES.values())


def _rows(table: Table) -> list[list[str]]:
    return [list(table.columns), *([cell.marked for cell in row] for row in table.rows)]


def terminal(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Aligned columns, also of wide characters."""
    parts = [f"WARNING: {one_line(note)}" for note in notes]
    for table in tables:
        below = [one_line(note) for note in table.notes]
        if table.signatures:
            below += ["Measured with", *(f"  {one_line(line)}" for line in table.signatures)]
        lines = [one_line(table.title), "", *aligned(_rows(table), words=1)]
        parts.append("\n".join([*lines, *([""] if below else []), *below]))
    return "\n\n".join(parts) + "\n"


def markdown(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """GitHub's tables."""
    parts = [f"**Warning:** {markdown_text(note)}" for note in notes]
    for table in tables:
        parts += [f"**{markdown_text(table.title)}**", markdown_table(_rows(table))]
        if table.notes:
            parts.append("\n".join(f"- {markdown_text(note)}" for note in table.notes))
        if table.signatures:
            lines = [f"    {one_line(line)}" for line in table.signatures]
            parts.append("\n".join(["Measured with", "", *lines]))
    return "\n\n".join(parts) + "\n"


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


def render(tables: Sequence[Table], name: str, notes: Sequence[str] = ()) -> str:
    """All tables in one text; `notes` concern all of them and come first."""
    return {"terminal": terminal, "markdown": markdown, "latex": latex}[name](tables, notes)
