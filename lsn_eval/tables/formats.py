"""Tables as text: terminal, Markdown, LaTeX (booktabs) and HTML."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from lsn_eval.tables.table import Table

FORMATS = ("terminal", "markdown", "csv", "json", "latex", "html")
SUFFIXES: Mapping[str, str] = {
    ".txt": "terminal", ".md": "markdown", ".csv": "csv", ".json": "json", ".tex": "latex",
    ".html": "html", ".htm": "html",
}  # fmt: skip


def render(tables: Sequence[Table], name: str, notes: Sequence[str] = ()) -> str:
    """All tables in one text; `notes` concern all of them and come first."""
    return _RENDER[name](tables, notes)


def terminal(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """Aligned columns, also of wide characters."""
    parts = [f"WARNING: {printable(note)}" for note in notes]
    for table in tables:
        rows = [list(table.columns), *([cell.marked for cell in row] for row in table.rows)]
        rows = [[printable(text) for text in row] for row in rows]
        widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            blanks = [" " * (width - _width(text)) for text, width in zip(row, widths, strict=True)]
            padded = [
                row[0] + blanks[0],
                *(b + t for b, t in zip(blanks[1:], row[1:], strict=True)),
            ]
            lines.append("  ".join(padded).rstrip())
        below = [printable(note) for note in table.notes]
        if table.signatures:
            lines_of = [f"  {printable(line)}" for line in table.signatures]
            below.append("\n".join(["Measured with", *lines_of]))
        title = printable(table.title)
        parts.append("\n".join([title, "", *lines, *([""] if below else []), *below]))
    return "\n\n".join(parts) + "\n"


def printable(text: str) -> str:
    """Names come from files: no line breaks or escape sequences of theirs reach a terminal."""
    return "".join(
        character if character.isprintable() or character == " " else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def _width(text: str) -> int:
    """Columns that a terminal takes."""
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def markdown(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """GitHub's tables."""
    parts = [f"**Warning:** {_markdown_text(note)}" for note in notes]
    for table in tables:
        rows = [list(table.columns), *([cell.marked for cell in row] for row in table.rows)]
        lines = ["| " + " | ".join(map(_markdown_text, row)) + " |" for row in rows]
        lines.insert(1, "| " + " | ".join(["---", *["---:"] * (len(table.columns) - 1)]) + " |")
        parts += [f"**{_markdown_text(table.title)}**", "\n".join(lines)]
        if table.notes:
            parts.append("\n".join(f"- {_markdown_text(note)}" for note in table.notes))
        if table.signatures:
            lines = [f"    {printable(line)}" for line in table.signatures]
            parts.append("\n".join(["Measured with", "", *lines]))
    return "\n\n".join(parts) + "\n"


_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>|~#&$"})


def _markdown_text(text: str) -> str:
    return " ".join(printable(text).translate(_MARKDOWN).split())


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
            *(f"% {' '.join(printable(line).split())}" for line in table.signatures),
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
    return " ".join(printable(text).translate(_LATEX).split())


def _latex_cell(text: str, mark: str) -> str:
    signs = {"undecided": r"$^{\sim}$", "refused": "!", "unchanged": "=", "doubtful": "?"}
    return _latex_text(text) + signs.get(mark, "")


def page(tables: Sequence[Table], notes: Sequence[str]) -> str:
    """One self-contained page without scripts."""
    body = [f'<p class="warning">Warning: {html.escape(note)}</p>' for note in notes]
    for table in tables:
        head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table.columns)
        rows = []
        for row in table.rows:
            first, *rest = row
            cells = "".join(
                f'<td class="{cell.mark}" title="{html.escape(cell.detail)}">'
                f"{html.escape(cell.marked)}</td>"
                for cell in rest
            )
            rows.append(f'<tr><th scope="row">{html.escape(first.marked)}</th>{cells}</tr>')
        below = "".join(f"<p>{html.escape(note)}</p>" for note in table.notes)
        lines = html.escape("\n".join(table.signatures))
        below += f"<details><summary>Measured with</summary><pre>{lines}</pre></details>" * bool(
            lines
        )
        body.append(
            f"<table><caption>{html.escape(table.title)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>\n{chr(10).join(rows)}\n</tbody></table>\n{below}"
        )
    return _PAGE.replace("BODY", "\n".join(body), 1)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>lsn-eval compare</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem; }
table { border-collapse: collapse; margin-top: 2rem; display: block; overflow-x: auto; }
caption { text-align: left; font-weight: 600; padding-bottom: .5rem; }
th, td { padding: .2rem .6rem; text-align: right; white-space: nowrap; }
thead th { border-bottom: 1px solid; } tr > :first-child { text-align: left; }
tbody th { font-weight: normal; white-space: pre; }
.undecided { color: #666; } .refused, .warning { color: #a30000; } pre { overflow-x: auto; }
</style></head><body>
BODY
</body></html>
"""

_RENDER: Mapping[str, Callable[[Sequence[Table], Sequence[str]], str]] = {
    "terminal": terminal,
    "markdown": markdown,
    "latex": latex,
    "html": page,
}
